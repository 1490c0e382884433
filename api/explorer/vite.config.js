import { defineConfig } from 'vite';

export default defineConfig({
  // Files name each other relatively, so the page works under any prefix.
  base: './',
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4096,
  },
  worker: { format: 'es' },
});
