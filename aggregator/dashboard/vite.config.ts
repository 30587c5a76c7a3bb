// How the pages are built: dist/ with one HTML file and hashed files beside it, everything from the aggregator itself.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { convertCssVariables, DEFAULT_THEME, mergeMantineTheme } from '@mantine/core';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';
import { cssVariables, theme } from './src/theme.ts';

/**
 * Puts the theme's variables in front of `src/page.css`. Mantine would otherwise write them into a style tag in the
 * browser, and the page could not forbid inline styles.
 */
function themeVariables(): Plugin {
  return {
    name: 'rollcall:theme-variables',
    enforce: 'pre',
    transform: {
      filter: { id: /\/src\/page\.css$/ },
      handler: (css) => convertCssVariables(cssVariables(mergeMantineTheme(DEFAULT_THEME, theme))) + css,
    },
  };
}

/** Writes each text file once more, compressed: the server then sends that to whoever can read it. */
function compressed(): Plugin {
  return {
    name: 'rollcall:compressed',
    apply: 'build',
    async writeBundle({ dir }, bundle) {
      for (const fileName of Object.keys(bundle).filter((name) => /\.(js|css|html)$/.test(name))) {
        const file = join(dir ?? 'dist', fileName);
        const content = await readFile(file);
        await writeFile(`${file}.br`, brotliCompressSync(content));
        await writeFile(`${file}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [themeVariables(), react(), compressed()],
  build: {
    // A file folded into another as a data: address is what the content security policy forbids.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One file: every view needs nearly all of it (react-dom, zod, Mantine, Temporal). About 160 kB over the wire.
    chunkSizeWarningLimit: 600,
  },
});
