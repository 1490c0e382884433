const PREFIX = 'graphiql:';
const withoutHeaders = (key, value) => (key === 'headers' ? undefined : value);

const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));

function scrubbed(value) {
  try {
    return JSON.stringify(JSON.parse(value, withoutHeaders));
  } catch {
    return value; // a query, a theme's name: not JSON, so it holds no headers
  }
}

/**
 * What GraphiQL remembers, without request headers: they carry tokens.
 *
 * GraphiQL leaves them out of its tabs when told to, but its history still stores them beside each query.
 */
export const storage = {
  getItem: (key) => localStorage.getItem(key),
  setItem(key, value) {
    if (key !== `${PREFIX}headers`) localStorage.setItem(key, scrubbed(value));
  },
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => keys().forEach((key) => localStorage.removeItem(key)),
  get length() {
    return keys().length;
  },
};
