"""What the vectors of code mode call "deny" and "header": who may run programs."""


async def deny(user, context):
    return False


async def header(user, context):
    return context["headers"].get("x-code-mode") == "yes"
