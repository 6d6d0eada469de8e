//! The variables themselves, in the order of the reference page.

use super::{ReadBy, Variable};

/// Declares the constants and [`ALL`] in one go, so that neither can lack what the other has.
macro_rules! variables {
    ($($constant:ident = $name:literal, $reader:ident, $default:literal $(, $secret:ident)?; $($doc:literal)+)*) => {
        $(
            #[doc = concat!($($doc),+)]
            pub(crate) const $constant: Variable = Variable {
                name: $name,
                doc: concat!($($doc),+),
                default: $default,
                secret: false $(|| $secret)?,
                reader: ReadBy::$reader,
            };
        )*
        /// Every variable.
        pub(crate) const ALL: &[Variable] = &[$($constant),*];
    };
}

#[expect(non_upper_case_globals, reason = "reads as a word in the list below")]
const secret: bool = true;

variables! {
    LOG_LEVEL = "LOG_LEVEL", Everything, "`INFO`";
        "How much is logged: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`, in any case."
    LOG_FILTER = "TOOLPLANE_LOG_FILTER", Everything, "";
        "Filter directives such as `toolplane_control_plane=debug,rmcp=warn`, laid over `LOG_LEVEL`."
    LOG_FORMAT = "TOOLPLANE_LOG_FORMAT", Everything, "`text`";
        "`text` or `json`; logs go to stderr."
    METRICS_LISTEN = "TOOLPLANE_METRICS_LISTEN", Planes, "none are served";
        "Address in numbers, `ADDRESS:PORT`, on which `GET /metrics` answers in the text form of Prometheus. It asks for no "
        "token and names domains, so it is a port of its own: keep it away from clients."
    OTEL_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", Planes, "nothing is exported";
        "Address of an OpenTelemetry collector, `http://…` or `https://…`, to which spans and metrics are sent over gRPC. The "
        "other standard variables of the exporter hold, too: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, "
        "`OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`, `OTEL_METRIC_EXPORT_INTERVAL`."
    OTEL_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Planes, "";
        "The same for spans alone."
    OTEL_METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", Planes, "";
        "The same for metrics alone."
    OTEL_SERVICE_NAME = "OTEL_SERVICE_NAME", Planes, "`toolplane`";
        "Name of the service in everything that is exported."
    OTEL_RESOURCE_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES", Planes, "";
        "Further attributes of what is exported: `key=value,key=value`."
    OTEL_SDK_DISABLED = "OTEL_SDK_DISABLED", Planes, "`false`";
        "`true` exports nothing, whatever the other variables say."
    NO_COLOR = "NO_COLOR", Everything, "";
        "Set to anything: no colors."
    DATA_DIR = "TOOLPLANE_DATA_DIR", Everything, "`$XDG_DATA_HOME/toolplane`";
        "Folder of the database, keys, tokens and the admin socket; `--data-dir` wins. Commands look there for the "
        "socket and the token of a gateway on the same machine."
    XDG_DATA_HOME = "XDG_DATA_HOME", Everything, "`~/.local/share`";
        "Where the default data folder lies."
    HOME = "HOME", Everything, "";
        "Where `~` is."

    GATEWAY_URL_GUARD_ALLOW_PRIVATE_RANGES = "GATEWAY_URL_GUARD_ALLOW_PRIVATE_RANGES", Planes, "`true`";
        "Whether upstreams may have private and loopback addresses. Metadata, link-local, multicast and unspecified "
        "addresses are refused always."
    SECRET_KEY_FILE = "TOOLPLANE_SECRET_KEY_FILE", Planes, "in the data folder";
        "File with the key that seals secrets at rest: 64 hexadecimal digits. A control plane with Postgres needs it, the "
        "same one for all; otherwise one is created where this is unset."
    MAX_UPDATE_BYTES = "TOOLPLANE_MAX_UPDATE_BYTES", Node, "`268435456`";
        "Largest update that a node takes from a control plane, 65536 at least. An update of everything holds the whole "
        "registry; a node that is sent a larger one says so, goes on serving what it has, and tries again at leisure."
    DRAIN_TIMEOUT = "TOOLPLANE_DRAIN_TIMEOUT", Planes, "`30`";
        "Seconds that running requests get to finish after the first signal, for a node once the grace is over; a second "
        "signal ends the process at once."

    GATEWAY_UPSTREAMS = "GATEWAY_UPSTREAMS", ControlPlane, "";
        "JSON object of upstreams: `{\"domain\": \"url\"}` or `{\"domain\": {\"url\": …, \"allowed_tools\": […], "
        "\"denied_tools\": […]}}`. Further keys: `discovery_url`, `description`, `headers`, `forward_headers`, "
        "`schema_policy` (`accept`, `pin`), `session_mode` (`isolated`, `shared`), `limits` (an object, such as `{\"timeout\": 120}`). "
        "Applied at every start."
    GATEWAY_DOMAIN_DESCRIPTIONS = "GATEWAY_DOMAIN_DESCRIPTIONS", ControlPlane, "";
        "JSON object of descriptions: `{\"domain\": \"text\"}`. They win over registered ones."
    GATEWAY_UPSTREAM_HEADERS = "GATEWAY_UPSTREAM_HEADERS", ControlPlane, "", secret;
        "JSON object of headers sent to upstreams: `{\"domain\": {\"Header\": \"value\"}}`."
    GATEWAY_ACCESS_POLICY = "GATEWAY_ACCESS_POLICY", ControlPlane, "";
        "JSON object `{\"allow\": {\"domain\": [\"glob\"]}, \"deny\": {\"domain\": [\"glob\"]}}`: an explicit access "
        "policy, which wins over the filters of `GATEWAY_UPSTREAMS`."
    GATEWAY_REGISTRY_AUTH_TOKEN = "GATEWAY_REGISTRY_AUTH_TOKEN", ControlPlane, "", secret;
        "Bearer token for listing tools, for upstreams without an `Authorization` header of their own."
    REGISTRY_AUTH_TOKEN_FILE = "TOOLPLANE_REGISTRY_AUTH_TOKEN_FILE", ControlPlane, "";
        "File with that bearer token, read anew for each listing, so that a token that is replaced there is used at once. It "
        "must not be open to everybody. Excludes `GATEWAY_REGISTRY_AUTH_TOKEN`."
    GATEWAY_REFRESH_INTERVAL = "GATEWAY_REFRESH_INTERVAL", ControlPlane, "no refresh";
        "Seconds between two refreshes of all upstreams; fractions are allowed."
    GATEWAY_REGISTRATION_TOKEN = "GATEWAY_REGISTRATION_TOKEN", ControlPlane, "", secret;
        "Shared token of the REST registration endpoints, which exist only when this or the signed-token variables "
        "are set. Use 16 characters or more."
    GATEWAY_REGISTRATION_ISSUER = "GATEWAY_REGISTRATION_ISSUER", ControlPlane, "";
        "Required issuer of signed registration tokens (JWT). Needs the audience and the key too, and excludes "
        "`GATEWAY_REGISTRATION_TOKEN`."
    GATEWAY_REGISTRATION_AUDIENCE = "GATEWAY_REGISTRATION_AUDIENCE", ControlPlane, "";
        "Required audience of signed registration tokens."
    GATEWAY_REGISTRATION_VERIFY_KEY = "GATEWAY_REGISTRATION_VERIFY_KEY", ControlPlane, "";
        "Public key that signed registration tokens are verified with, as PEM."
    GATEWAY_REGISTRATION_ALGORITHMS = "GATEWAY_REGISTRATION_ALGORITHMS", ControlPlane, "those of the key";
        "Comma-separated signature algorithms, for instance `ES256,RS256`. `none` and shared-secret algorithms are "
        "refused."
    GATEWAY_SANITIZER_TRUSTED_DOMAINS = "GATEWAY_SANITIZER_TRUSTED_DOMAINS", ControlPlane, "`[]`";
        "JSON list of domains whose descriptions are taken as they are."
    GATEWAY_MAX_SCHEMA_DEPTH = "GATEWAY_MAX_SCHEMA_DEPTH", ControlPlane, "`64`";
        "Deepest nesting of a tool's schema; a value from 1 to 50 lowers it."
    GATEWAY_SCHEMA_POLICY = "GATEWAY_SCHEMA_POLICY", ControlPlane, "`accept`";
        "What a changed tool of an upstream does that names no policy of its own: `accept` applies it, `pin` keeps the "
        "approved form until the change is accepted."
    CONTROL_PLANE_DATABASE_URL = "TOOLPLANE_CONTROL_PLANE_DATABASE_URL", ControlPlane, "SQLite in the data folder", secret;
        "`sqlite:PATH` or `postgres://…`; `--database-url` wins."
    CONTROL_PLANE_DATABASE_TIMEOUT = "TOOLPLANE_CONTROL_PLANE_DATABASE_TIMEOUT", ControlPlane, "`10`";
        "Seconds that Postgres may take for one step of a request, waiting for locks included; after that the request is "
        "answered with an error. Postgres ends what it was doing at the same time, and so does a transaction of a control "
        "plane that it no longer hears of. 300 at most."
    CONTROL_PLANE_DATABASE_GRACE = "TOOLPLANE_CONTROL_PLANE_DATABASE_GRACE", ControlPlane, "`10`";
        "Seconds for which the database may not be readable before the control plane reports `NOT_SERVING` and sends its "
        "nodes to others. Nodes without another serve on and say that they are stale."
    CONTROL_PLANE_HISTORY = "TOOLPLANE_CONTROL_PLANE_HISTORY", ControlPlane, "`100`";
        "How many versions of the registry are kept, for `toolplane snapshot` to list, compare and go back to: 1 to "
        "100000."
    CONTROL_PLANE_AUDIT_DAYS = "TOOLPLANE_CONTROL_PLANE_AUDIT_DAYS", ControlPlane, "`90`";
        "Days for which audit records are kept; 0 keeps them for ever. 36500 at most."
    CONTROL_PLANE_NODE_DAYS = "TOOLPLANE_CONTROL_PLANE_NODE_DAYS", ControlPlane, "`7`";
        "Days after which a node that is not connected any more is forgotten; 0 keeps it for ever. 36500 at most."
    CONTROL_PLANE_MAX_CONNECTIONS = "TOOLPLANE_CONTROL_PLANE_MAX_CONNECTIONS", ControlPlane, "`4096`";
        "Connections to the gRPC API that may be open at once: 1 to 1000000. Where there are more, the oldest that showed no "
        "valid token gives way. Keep it below the limit of open files of the process."
    CONTROL_PLANE_LISTEN = "TOOLPLANE_CONTROL_PLANE_LISTEN", ControlPlane, "`127.0.0.1:7400`, or the admin socket";
        "Address of the gRPC API: `HOST:PORT` or `unix:PATH`; `--listen` wins. `standalone` listens on a Unix socket in "
        "the data folder unless this is set."
    CONTROL_PLANE_TLS_CERT_FILE = "TOOLPLANE_CONTROL_PLANE_TLS_CERT_FILE", ControlPlane, "no TLS";
        "PEM file with the certificate that a TCP port presents, and those that lead to its authority; needs the key. "
        "Changed files are taken up within seconds, without a restart; ones that do not hold are left alone, with a "
        "warning. `--tls-cert-file` wins."
    CONTROL_PLANE_TLS_KEY_FILE = "TOOLPLANE_CONTROL_PLANE_TLS_KEY_FILE", ControlPlane, "";
        "PEM file with the private key of the certificate; `--tls-key-file` wins."
    CONTROL_PLANE_TLS_CLIENT_CA_FILE = "TOOLPLANE_CONTROL_PLANE_TLS_CLIENT_CA_FILE", ControlPlane, "none are asked for";
        "PEM file with the authorities of client certificates; where it is set, every client of the TCP port needs a "
        "certificate, beside its token. `--tls-client-ca-file` wins."
    CONTROL_PLANE_ADMIN_TOKEN_FILE = "TOOLPLANE_CONTROL_PLANE_ADMIN_TOKEN_FILE", ControlPlane, "in the data folder";
        "Where the first admin token is written, readable by the owner alone."
    CONTROL_PLANE_REFRESH_TIMEOUT = "TOOLPLANE_CONTROL_PLANE_REFRESH_TIMEOUT", ControlPlane, "`10`";
        "Seconds that one upstream may take to list its tools, at registration and at every refresh; 300 at most."
    CONTROL_PLANE_REFRESH_CONCURRENCY = "TOOLPLANE_CONTROL_PLANE_REFRESH_CONCURRENCY", ControlPlane, "`16`";
        "How many upstreams a refresh lists at once."

    GATEWAY_NAME = "GATEWAY_NAME", Node, "`toolplane`";
        "Name of the server in the MCP handshake."
    GATEWAY_HOST = "GATEWAY_HOST", Node, "`0.0.0.0`";
        "Address to listen on."
    GATEWAY_PORT = "GATEWAY_PORT", Node, "`8080`";
        "Port to listen on; `0` takes a free one."
    GATEWAY_INSTRUCTIONS = "GATEWAY_INSTRUCTIONS", Node, "built from the registry";
        "Instructions of the MCP handshake, in place of the built-in ones."
    INSTRUCTIONS_SCOPE = "TOOLPLANE_INSTRUCTIONS_SCOPE", Node, "`caller`";
        "Which domains the built-in instructions name: those that the `caller` sees, or `all`, also where hooks hide some."
    TOOL_HEADER = "TOOLPLANE_TOOL_HEADER", Node, "`true`";
        "Whether clients of the revision 2026-07-28 have to say in the header `Mcp-Param-Tool` which tool `execute_tool` is to run, so that load balancers can route by it; `false` lets it be missing, for clients that list no tools before they call one."
    GATEWAY_ERROR_RESULTS = "GATEWAY_ERROR_RESULTS", Node, "`flagged`";
        "`plain`: errors of meta-tools come as ordinary results, without `isError`."
    GATEWAY_OUTPUT_GUARD = "GATEWAY_OUTPUT_GUARD", Node, "`off`";
        "What happens to tool results that look like prompt injection: `strip`, `marker`, `reject` or `off`."
    GATEWAY_OUTPUT_GUARD_MAX_SCAN_BYTES = "GATEWAY_OUTPUT_GUARD_MAX_SCAN_BYTES", Node, "`1048576`";
        "How much of a result the output guard reads."
    GATEWAY_TRUSTED_OUTPUT_TOOLS = "GATEWAY_TRUSTED_OUTPUT_TOOLS", Node, "`[]`";
        "JSON list of globs: tools whose results the output guard leaves alone."
    GATEWAY_TRACE_HEALTH_ROUTES = "GATEWAY_TRACE_HEALTH_ROUTES", Node, "`true`";
        "Has no effect in this release, which traces calls and no probes; the value has to be `true` or `false`."
    CONTROL_PLANE_ADDRESS = "TOOLPLANE_CONTROL_PLANE_ADDRESS", Node, "";
        "Comma-separated addresses of control planes, for nodes and for the operator's commands: `HOST:PORT`, "
        "`http://…`, `https://…` or `unix:PATH`; `--control-plane` wins."
    CONTROL_PLANE_CA_FILE = "TOOLPLANE_CONTROL_PLANE_CA_FILE", Node, "the system's authorities";
        "PEM file with the certificate authority of `https://` control planes, for nodes and commands. This file and the "
        "next two are read for each connection. For nodes `--ca-file` wins."
    CONTROL_PLANE_CLIENT_CERT_FILE = "TOOLPLANE_CONTROL_PLANE_CLIENT_CERT_FILE", Node, "none is shown";
        "PEM file with the certificate that nodes and commands show to `https://` control planes; needs the key. For nodes "
        "`--client-cert-file` wins."
    CONTROL_PLANE_CLIENT_KEY_FILE = "TOOLPLANE_CONTROL_PLANE_CLIENT_KEY_FILE", Node, "";
        "PEM file with the private key of that certificate; for nodes `--client-key-file` wins."
    CONTROL_PLANE_ALLOW_PLAIN = "TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN", Node, "`false`";
        "Whether nodes and commands may reach a control plane on another machine over plain HTTP, and a control plane may "
        "serve other machines so. Tokens and the credentials of upstreams can be read on the way."
    DATA_PLANE_NODE_ID = "TOOLPLANE_DATA_PLANE_NODE_ID", Node, "made once, kept in the data folder";
        "Identifies the node to the control plane."
    DATA_PLANE_LABELS = "TOOLPLANE_DATA_PLANE_LABELS", Node, "";
        "Comma-separated labels of the node, for instance `zone=a,rack=7`."
    DATA_PLANE_TOKEN_FILE = "TOOLPLANE_DATA_PLANE_TOKEN_FILE", Node, "";
        "File with the node token; `--token-file` wins. `standalone` arranges its own."
    REQUEST_STATE_TTL = "TOOLPLANE_REQUEST_STATE_TTL", Node, "`600`";
        "Seconds in which a caller has to answer what a tool asks of it; the question is void after that."
    DATA_PLANE_CALL_TIMEOUT = "TOOLPLANE_DATA_PLANE_CALL_TIMEOUT", Node, "`60`";
        "Seconds that one tool call may take, waiting for a place and repetitions included; 3600 at most. This and the "
        "next seven apply to upstreams for which `upstream update`, a manifest or `GATEWAY_UPSTREAMS` sets nothing else."
    UPSTREAM_CONNECT_TIMEOUT = "TOOLPLANE_UPSTREAM_CONNECT_TIMEOUT", Node, "`5`";
        "Seconds until a connection to an upstream must stand."
    UPSTREAM_FIRST_BYTE_TIMEOUT = "TOOLPLANE_UPSTREAM_FIRST_BYTE_TIMEOUT", Node, "the call's own limit";
        "Seconds until an upstream's reply must begin. Servers that answer in JSON begin when the tool is done."
    UPSTREAM_IDLE_TIMEOUT = "TOOLPLANE_UPSTREAM_IDLE_TIMEOUT", Node, "the call's own limit";
        "Longest pause within an upstream's reply, in seconds."
    UPSTREAM_MAX_CONCURRENCY = "TOOLPLANE_UPSTREAM_MAX_CONCURRENCY", Node, "`256`";
        "How many calls of one upstream a node runs at once."
    UPSTREAM_MAX_QUEUE = "TOOLPLANE_UPSTREAM_MAX_QUEUE", Node, "`256`";
        "How many more wait their turn; those beyond are answered `overloaded`."
    UPSTREAM_MAX_RETRIES = "TOOLPLANE_UPSTREAM_MAX_RETRIES", Node, "`2`";
        "How often a call is repeated that never arrived, or whose tool says that this does no harm (`readOnlyHint`, "
        "`idempotentHint`); 10 at most."
    UPSTREAM_BREAKER_FAILURES = "TOOLPLANE_UPSTREAM_BREAKER_FAILURES", Node, "`5`";
        "After how many failures in a row an upstream is spared for a while; `0` for never. Half of at least 20 calls "
        "in 10 s failing does the same."
    UPSTREAM_SPARE_SESSIONS = "TOOLPLANE_UPSTREAM_SPARE_SESSIONS", Node, "`256`";
        "How many sessions a node opens ahead of need, over all upstreams that issue session ids and are not shared; at "
        "most 8 for one caller of one upstream. `0` opens none, and every call there waits for a handshake."
    UPSTREAM_SPARE_SESSION_TTL = "TOOLPLANE_UPSTREAM_SPARE_SESSION_TTL", Node, "`60`";
        "Seconds that such a session waits for a call before it is closed."
    MAX_CONNECTIONS = "TOOLPLANE_MAX_CONNECTIONS", Node, "`8192`";
        "How many connections a node serves; requests on those beyond are answered with 503, probes as always. Keep the "
        "limit of open files well above."
    MAX_REQUESTS = "TOOLPLANE_MAX_REQUESTS", Node, "`4096`";
        "How many requests a node works on at once; those beyond are answered with 503."
    MAX_BUFFERED_BYTES = "TOOLPLANE_MAX_BUFFERED_BYTES", Node, "`134217728`";
        "How many bytes a node holds for requests in flight: of their bodies, of large replies of upstreams, and of "
        "answers until they are taken. Bodies beyond are answered with 503, calls whose reply is beyond with the result "
        "`overloaded`. At least the largest body."
    DATA_PLANE_MAX_BODY_BYTES = "TOOLPLANE_DATA_PLANE_MAX_BODY_BYTES", Node, "`4194304`";
        "Largest body of a request to the MCP endpoint; a larger one is answered with 413."
    DRAIN_GRACE = "TOOLPLANE_DRAIN_GRACE", Node, "`5`; `0` in `standalone`";
        "Seconds between the first signal and the drain: `/readyz` says `draining` at once, and everything is served until "
        "load balancers have had time to notice."
    MAX_CONNECTION_AGE = "TOOLPLANE_MAX_CONNECTION_AGE", Node, "`300`";
        "Seconds after which a client's connection ends with its next answer, spread by a tenth, so that load balancers "
        "spread connections anew and new nodes get load; `0` lets connections be."
    CONNECTION_IDLE_TIMEOUT = "TOOLPLANE_CONNECTION_IDLE_TIMEOUT", Node, "`75`";
        "Seconds after which a client's connection without a request ends. Longer than the idle limit of the load balancer "
        "in front, so that it is not the node that closes a connection about to be used. Where all connections are taken, "
        "those idle for a tenth of it give way to new ones."
    ANSWER_STALL_TIMEOUT = "TOOLPLANE_ANSWER_STALL_TIMEOUT", Node, "`30`";
        "Seconds that a caller may take nothing of its answer; then its stream is reset, over HTTP/1.1 its connection cut."
    READY_WITHOUT_TOOLS = "TOOLPLANE_READY_WITHOUT_TOOLS", Node, "`false`";
        "Whether a node is ready while upstreams are configured and none of their tools is served."

    HOOKS = "TOOLPLANE_HOOKS", Node, "";
        "Hook services, in the order in which they are asked: comma-separated addresses (`unix:PATH`, `https://…`, `http://…` "
        "on this machine), or a JSON list of objects that say more; see [HOOKS.md](HOOKS.md). Hooks in Python come before them."
    HOOKS_DEADLINE = "TOOLPLANE_HOOKS_DEADLINE", Node, "`5`";
        "Seconds that a hook may take in one phase, where its object in `TOOLPLANE_HOOKS` says nothing else. The same goes for "
        "the next two, and all three hold for hooks in Python."
    HOOKS_ON_FAILURE = "TOOLPLANE_HOOKS_ON_FAILURE", Node, "`fail_closed`";
        "What a hook that fails means: `fail_closed` refuses the call, `fail_open` goes on without the hook. For single phases: "
        "`after_execute=fail_open,filter_tools=fail_closed`."
    HOOKS_MAX_IN_FLIGHT = "TOOLPLANE_HOOKS_MAX_IN_FLIGHT", Node, "`256`";
        "How many answers of one hook service may be awaited at once; more is a failure of the hook."
    HOOKS_KEEP_VISIBILITY = "TOOLPLANE_HOOKS_KEEP_VISIBILITY", Node, "`60`";
        "Longest time, in seconds, for which a node keeps what a caller may see, where a hook service allows it; `0` keeps "
        "nothing."
    HOOKS_KEEP_TOOLS = "TOOLPLANE_HOOKS_KEEP_TOOLS", Node, "`200000`";
        "How many tools those kept views may hold together."
    HOOKS_PYTHON = "TOOLPLANE_HOOKS_PYTHON", Planes, "`python3`";
        "The Python interpreter for hooks in Python, 3.10 or later, with the packages `grpcio` and `protobuf`."
    HOOKS_PYTHON_PATIENCE = "TOOLPLANE_HOOKS_PYTHON_PATIENCE", Planes, "`30`";
        "Seconds for which the process of the hooks in Python may answer nothing at all, as while one of them blocks its event "
        "loop; then it is ended and started again."
    PYTHONPATH = "PYTHONPATH", Planes, "";
        "Where hooks in Python are imported from, besides the working directory and what is installed."
    GATEWAY_HOOK_MODULE = "GATEWAY_HOOK_MODULE", Node, "";
        "Hooks in Python: `package.module:factory`, where the factory returns a list of hooks. Runs as the reference runs it, in "
        "a process of its own."
    GATEWAY_ALLOWED_HOOK_PREFIXES = "GATEWAY_ALLOWED_HOOK_PREFIXES", Node, "";
        "Comma-separated modules from which, and from below which, hooks may be imported; needed for `GATEWAY_HOOK_MODULE`."
    GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE = "GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE", ControlPlane, "";
        "`package.module:factory`, where the factory returns a function that returns the bearer token for listing upstreams. It "
        "is asked for each listing and wins over the token and the file."
    GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES = "GATEWAY_ALLOWED_REGISTRY_TOKEN_PROVIDER_PREFIXES", ControlPlane, "";
        "Comma-separated modules from which it may be imported; without it the provider is ignored."

    TOKEN = "TOOLPLANE_TOKEN", Commands, "", secret;
        "Bearer token for the control plane; wins over the file."
    TOKEN_FILE = "TOOLPLANE_TOKEN_FILE", Commands, "`admin.token` in the data folder";
        "File with the bearer token for the control plane; `--token-file` wins."
    NODE_URL = "TOOLPLANE_NODE_URL", Commands, "the gateway of the data folder";
        "MCP endpoint that `tool call` uses; `--node` wins."

    GATEWAY_CODE_MODE = "GATEWAY_CODE_MODE", Node, "`false`";
        "Whether callers may run programs that call tools, with the meta-tool `execute_code` (see CODE-MODE.md)."
    GATEWAY_CODE_MODE_AUTHORIZER = "GATEWAY_CODE_MODE_AUTHORIZER", Node, "everybody may";
        "Python callable, `module:name`, that decides for each caller whether it may run programs; it runs where hook modules "
        "do. Read together with `GATEWAY_CODE_MODE` only."
    GATEWAY_ALLOWED_CODE_MODE_AUTHORIZER_PREFIXES = "GATEWAY_ALLOWED_CODE_MODE_AUTHORIZER_PREFIXES", Node, "";
        "Prefixes of module names that `GATEWAY_CODE_MODE_AUTHORIZER` may name, with commas between them."
    GATEWAY_CODE_MODE_MAX_DURATION_SECS = "GATEWAY_CODE_MODE_MAX_DURATION_SECS", Node, "`30`";
        "Longest time of a program in seconds, waiting for tools included."
    GATEWAY_CODE_MODE_MAX_MEMORY = "GATEWAY_CODE_MODE_MAX_MEMORY", Node, "`268435456`";
        "Most bytes that a program holds at one time."
    GATEWAY_CODE_MODE_MAX_ALLOCATIONS = "GATEWAY_CODE_MODE_MAX_ALLOCATIONS", Node, "`10000000`";
        "How often a program may allocate memory."
    GATEWAY_CODE_MODE_MAX_RECURSION_DEPTH = "GATEWAY_CODE_MODE_MAX_RECURSION_DEPTH", Node, "`200`";
        "How deep functions of a program may call each other."
    GATEWAY_CODE_MODE_MAX_NESTED_CALLS = "GATEWAY_CODE_MODE_MAX_NESTED_CALLS", Node, "`50`";
        "How often a program may call tools."
    GATEWAY_CODE_MODE_AUDIT_VERBATIM = "GATEWAY_CODE_MODE_AUDIT_VERBATIM", Node, "`false`";
        "Whether programs are written to the log, at level `DEBUG`. They may hold secrets of callers."
    CODE_MODE_MAX_CONCURRENT_CALLS = "TOOLPLANE_CODE_MODE_MAX_CONCURRENT_CALLS", Node, "`16`";
        "How many tools a program calls at one time; further calls wait."
    CODE_MODE_MAX_SOURCE_BYTES = "TOOLPLANE_CODE_MODE_MAX_SOURCE_BYTES", Node, "`262144`";
        "Largest program, and the most that can be set."
    CODE_MODE_MAX_RESULT_BYTES = "TOOLPLANE_CODE_MODE_MAX_RESULT_BYTES", Node, "`1048576`";
        "Largest result of a program."
    CODE_MODE_MAX_STDOUT_BYTES = "TOOLPLANE_CODE_MODE_MAX_STDOUT_BYTES", Node, "`65536`";
        "How much of what a program prints is given back."
    CODE_MODE_MAX_ANSWER_BYTES = "TOOLPLANE_CODE_MODE_MAX_ANSWER_BYTES", Node, "`8388608`";
        "Largest answer of a tool that a program can have; a larger one is a failure that it can catch."
    CODE_MODE_MAX_RUNS = "TOOLPLANE_CODE_MODE_MAX_RUNS", Node, "`32`";
        "How many programs run at one time on a node; further ones are refused with `overloaded`."
    CODE_MODE_MAX_RUNS_PER_CALLER = "TOOLPLANE_CODE_MODE_MAX_RUNS_PER_CALLER", Node, "`8`";
        "How many programs of one caller run at one time; further ones are refused with `rate_limited`. Callers are told apart "
        "by the subject that a hook found, else by the address that they come from: all behind one proxy are one then."
    CODE_MODE_TOTAL_MEMORY = "TOOLPLANE_CODE_MODE_TOTAL_MEMORY", Node, "half of the memory of the machine or container";
        "Most bytes that all programs hold at one time: as many run as fit with `GATEWAY_CODE_MODE_MAX_MEMORY` and 16 MiB each, "
        "and at most `TOOLPLANE_CODE_MODE_MAX_RUNS`."
    CODE_MODE_READY_WORKERS = "TOOLPLANE_CODE_MODE_READY_WORKERS", Node, "`2`";
        "How many processes stand ready for programs. Without one a program waits some milliseconds for its own."
    CODE_MODE_RUNS_PER_WORKER = "TOOLPLANE_CODE_MODE_RUNS_PER_WORKER", Node, "`1`";
        "How many programs a process takes, one after another, before it is replaced. More than one is faster, and leaves "
        "whatever a flaw of the interpreter gave one program to the next."
    CODE_MODE_CORES = "TOOLPLANE_CODE_MODE_CORES", Node, "all";
        "How many processor cores all programs share. Linux only. One fewer than there are keeps requests from waiting for "
        "programs; all of them answer programs sooner."
    GATEWAY_AUTH_MODULE = "GATEWAY_AUTH_MODULE", Nobody, "";
        "Python authentication modules are not carried over: an `on_authenticate` hook replaces them, or a proxy in front of "
        "the gateway. Refused together with its prefixes, and ignored without them."
    GATEWAY_ALLOWED_AUTH_PREFIXES = "GATEWAY_ALLOWED_AUTH_PREFIXES", Nobody, "";
        "Ignored without `GATEWAY_AUTH_MODULE`."
    GATEWAY_MIDDLEWARE_MODULE = "GATEWAY_MIDDLEWARE_MODULE", Nobody, "";
        "Python (ASGI) middleware is not carried over: a reverse proxy in front of the gateway replaces it. Refused together "
        "with its prefixes, and ignored without them."
    GATEWAY_ALLOWED_MIDDLEWARE_PREFIXES = "GATEWAY_ALLOWED_MIDDLEWARE_PREFIXES", Nobody, "";
        "Ignored without `GATEWAY_MIDDLEWARE_MODULE`."
}
