// The audits of graphql-http for servers: all of GraphQL over HTTP that can be seen from outside.
import { auditServer } from "graphql-http";
import { headers, tell, url } from "./server.mjs";

const fetchFn = (to, options) => fetch(to, { ...options, headers: { ...options?.headers, ...headers } });
const results = await auditServer({ url, fetchFn });

const notOk = results.filter(({ status }) => status !== "ok").map(({ name, reason }) => `${name}: ${reason}`);
tell({ audits: results.length, notOk });
