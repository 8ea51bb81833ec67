// How the page is built: hashed files in dist/, hls.js as a chunk of its own, nothing inline, so that a strict
// Content-Security-Policy holds. The licences of everything bundled land in dist/licenses.txt.
import { defineConfig } from "vite";

const origin = process.env.PERCH_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  build: {
    target: ["chrome109", "firefox115", "safari16"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.txt" },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 700,
  },
  server: {
    // `npm run dev` shows the page from source against a running appliance.
    proxy: Object.fromEntries(["/api", "/live", "/recordings", "/healthz"].map((path) => [path, origin])),
  },
});
