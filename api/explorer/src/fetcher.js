import { getOperationAST } from 'graphql';
import { createClient } from 'graphql-sse';

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/graphql-response+json' };

async function post(url, request, headers) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...JSON_HEADERS, ...headers },
    body: JSON.stringify(request),
  });
  const body = await response.text();
  try {
    return JSON.parse(body);
  } catch {
    return { errors: [{ message: `HTTP ${response.status}, not JSON: ${body}` }] }; // a proxy between us and the server
  }
}

/** Queries and mutations are one POST; a subscription is one event stream, which carries the typed headers too. */
export function createFetcher(url) {
  return (request, { documentAST, headers } = {}) => {
    const operation = documentAST && getOperationAST(documentAST, request.operationName);
    return operation?.operation === 'subscription'
      ? createClient({ url, headers, retryAttempts: 0 }).iterate(request)
      : post(url, request, headers);
  };
}
