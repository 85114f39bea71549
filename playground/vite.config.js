import { readFileSync, readdirSync } from "node:fs";
import { defineConfig } from "vite";

/** The licences of what is in the bundle, which have to travel with it. */
function licences() {
  return {
    name: "licences",
    generateBundle(_, bundle) {
      const folders = new Set();
      for (const chunk of Object.values(bundle)) {
        for (const id of Object.keys(chunk.modules ?? {})) {
          const folder = id.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0];
          if (folder) folders.add(folder);
        }
      }
      const texts = new Map();
      for (const folder of [...folders].sort()) {
        const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
        const text = readFileSync(`${folder}/${file}`, "utf8").trim();
        texts.set(text, [...(texts.get(text) ?? []), folder.replace(/^.*node_modules\//, "")]);
      }
      const source = [...texts].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`).join("\n---\n\n");
      this.emitFile({ type: "asset", fileName: "assets/LICENCES.txt", source });
    },
  };
}

// File names without hashes: the built page is part of the Python package, whose layout should not change with it.
export default defineConfig({
  base: "./",
  plugins: [licences()],
  build: {
    outDir: "../src/codegeex/server/playground",
    emptyOutDir: true,
    modulePreload: false,
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      output: { entryFileNames: "assets/playground.js", assetFileNames: "assets/playground[extname]" },
    },
  },
});
