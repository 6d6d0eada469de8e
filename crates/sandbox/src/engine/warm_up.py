import asyncio
import json
async def one(q):
    try:
        r = await tool(q)
    except RuntimeError as error:
        r = [{'a': str(error)}]
    return r
rows = await asyncio.gather(one('x'))
print(f'{len(rows)} rows', [row for row in rows if row])
{'rows': sorted(str(row) for row in rows), 'text': json.dumps(rows), 'n': sum(x for x in range(10))}
