import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-sse';

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };

async function post(url, request, headers) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...JSON_HEADERS, ...headers },
    body: JSON.stringify(request),
  });
  return read(response);
}

async function read(response) {
  const body = await response.text();
  try {
    return JSON.parse(body);
  } catch {
    return { errors: [{ message: `HTTP ${response.status}, not JSON: ${body}` }] }; // a proxy between us and the server
  }
}

/** As `fetch`; a stream that is refused is a stream that says why, since the client of streams reads no other answer. */
async function fetchStream(...request) {
  const response = await fetch(...request);
  if (response.ok) return response;
  const events = `event: next\ndata: ${JSON.stringify(await read(response))}\n\nevent: complete\ndata:\n\n`;
  return new Response(events, { headers: { 'content-type': 'text/event-stream' } });
}

/** Queries and mutations are one POST; a subscription is one event stream, which carries the typed headers too. */
export function createFetcher(url) {
  return (request, { documentAST, headers } = {}) => {
    const operation = documentAST && getOperationAST(documentAST, request.operationName);
    return operation?.operation === 'subscription'
      ? createClient({ url, headers, retryAttempts: 0, fetchFn: fetchStream }).iterate(request)
      : post(url, request, headers);
  };
}
