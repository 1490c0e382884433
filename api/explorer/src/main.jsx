import './workers.js';
import '@graphiql/react/style.css';
import 'graphiql/graphiql.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import '@graphiql/plugin-explorer/style.css';
import './page.css';

import { explorerPlugin } from '@graphiql/plugin-explorer';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { createFetcher } from './fetcher.js';
import { QueryFocus } from './focus.jsx';
import components from './queries/components.graphql?raw';
import problems from './queries/problems.graphql?raw';
import squad from './queries/squad.graphql?raw';
import { storage } from './storage.js';
import { SystemTheme } from './theme.jsx';

const fetcher = createFetcher(new URL('../graphql', document.baseURI).href);
const plugins = [{ ...explorerPlugin(), title: 'Explorer' }, HISTORY_PLUGIN];
const tabs = [components, squad, problems].map((query) => ({ query: query.trimEnd() }));

createRoot(document.getElementById('explorer')).render(
  <GraphiQL
    fetcher={fetcher}
    plugins={plugins}
    storage={storage}
    defaultTabs={tabs}
    defaultQuery=""
    defaultEditorToolsVisibility={false}
    inputValueDeprecation
    schemaDescription
    shouldPersistHeaders={false}
  >
    <GraphiQL.Logo>Catalograph</GraphiQL.Logo>
    <QueryFocus />
    <SystemTheme />
  </GraphiQL>,
);
