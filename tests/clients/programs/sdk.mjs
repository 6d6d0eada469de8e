// The official TypeScript client, of its older and its newest major version; see README.md for what goes in and out.
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';

const [version, url, era] = process.argv.slice(2);
const work = JSON.parse(await text(process.stdin));
const { Client, StreamableHTTPClientTransport } = version === '1' ? await older() : await newest();

function load(path) {
  return import(pathToFileURL(`${process.env.NODE_MODULES}/@modelcontextprotocol/${path}`));
}

async function older() {
  return { ...(await load('sdk/dist/esm/client/index.js')), ...(await load('sdk/dist/esm/client/streamableHttp.js')) };
}

function newest() {
  return load('client/dist/index.mjs');
}

async function run(client, step) {
  const heard = [];
  const cancelling = new AbortController();
  const options = { signal: cancelling.signal };
  if (step.progress) {
    options.onprogress = ({ progress }) => {
      heard.push(progress);
      if (step.cancel) cancelling.abort();
    };
  }
  const params = { name: step.name, arguments: step.arguments };
  try {
    const result = version === '1' ? await client.callTool(params, undefined, options) : await client.callTool(params, options);
    return { result, progress: heard };
  } catch (error) {
    if (cancelling.signal.aborted) return { cancelled: true };
    throw error;
  }
}

const settings = version === '1' ? {} : { versionNegotiation: { mode: era === 'handshake' ? 'legacy' : 'auto' } };
const client = new Client({ name: 'toolplane-tests', version: '1' }, settings);
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);
const tools = work.list ? (await client.listTools()).tools.map((tool) => tool.name) : null;
const steps = [];
for (const step of work.steps) steps.push(await run(client, step));
const protocol = version === '1' ? transport.protocolVersion : client.getNegotiatedProtocolVersion();
await client.close();
console.log(JSON.stringify({ protocol, tools, steps }));
