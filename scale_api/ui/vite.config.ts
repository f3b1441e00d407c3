import { defineConfig } from "vite";

// Vite 6 is the newest that runs on the Node 18 of Debian 12.
export default defineConfig({
  base: "/ui/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // a data: address would need an exception in the content security policy
    modulePreload: { polyfill: false }, // what loads modules loads them ahead too
    reportCompressedSize: false,
  },
  // `npx vite`: pages are made anew as they are edited; the API is that of a running server
  server: { proxy: { "^/(?!ui/)": process.env.SCALE_URL ?? "http://127.0.0.1:8000" } },
});
