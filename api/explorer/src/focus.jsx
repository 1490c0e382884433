import { useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';

/** Puts the cursor into the query editor as soon as there is one, so that Ctrl-Enter runs without a click. */
export function QueryFocus() {
  const editor = useGraphiQL((state) => state.queryEditor);

  useEffect(() => {
    editor?.focus();
  }, [editor]);

  return null;
}
