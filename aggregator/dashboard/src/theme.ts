// The look in Mantine's terms: colours, shades and sizes. Owns no layout; that is page.css and the components' own styles.
// Read by the pages and, for the variables, by vite.config.ts. Every pair of text and ground reaches 4.5 : 1 (WCAG AA).
import { type CSSVariablesResolver, createTheme, defaultCssVariablesResolver } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'petrol',
  // White on shade 7 is 6.5 : 1, on shade 8, the hover, 8.6 : 1; the default shade of most colours is below 4.5 : 1.
  primaryShade: { light: 7, dark: 7 },
  colors: {
    petrol: [
      '#eef6f8',
      '#d9eaee',
      '#b3d5dd',
      '#86bcc8',
      '#62abbb',
      '#3a8c9f',
      '#25788c',
      '#176476',
      '#0f5263',
      '#0a4150',
    ],
    // Mantine's dark greys, cooled to stand beside petrol.
    dark: [
      '#d7dee3',
      '#b3bdc5',
      '#93a0aa',
      '#65737e',
      '#3d4953',
      '#2f3942',
      '#252e35',
      '#1b2228',
      '#13191d',
      '#0d1114',
    ],
  },
  black: '#15222b',
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, "Cascadia Mono", Menlo, Consolas, monospace',
  headings: { fontWeight: '650' },
  respectReducedMotion: true,
});

/** Mantine's variables, and those of ours that depend on the colour scheme. */
export const cssVariables: CSSVariablesResolver = (resolved) => {
  const own = defaultCssVariablesResolver(resolved);
  return {
    variables: own.variables,
    light: {
      ...own.light,
      '--mantine-color-dimmed': '#566570',
      '--mantine-color-placeholder': '#6b7983',
      '--mantine-color-error': '#c02626',
      '--rollcall-ground': '#f4f7f8',
      '--rollcall-panel': '#ffffff',
      '--rollcall-line': '#dfe6ea',
      '--rollcall-head': '#f8fafb',
      '--rollcall-hover': '#f1f6f8',
      '--rollcall-good': '#1c7a4f',
      '--rollcall-good-ground': '#e3f5ec',
      '--rollcall-bad': '#b3261e',
      '--rollcall-bad-ground': '#fdeae8',
      '--rollcall-warn': '#8f5200',
      '--rollcall-warn-ground': '#fdf1dc',
      '--rollcall-calm': '#4a5963',
      '--rollcall-calm-ground': '#eaeff2',
    },
    dark: {
      ...own.dark,
      '--mantine-color-dimmed': '#9fadb7',
      '--mantine-color-placeholder': '#8794a0',
      '--mantine-color-error': '#ff9088',
      '--mantine-color-petrol-light': '#1d3840',
      '--mantine-color-petrol-light-hover': '#25454e',
      '--rollcall-ground': '#13191d',
      '--rollcall-panel': '#1b2228',
      '--rollcall-line': '#2f3942',
      '--rollcall-head': '#20282f',
      '--rollcall-hover': '#222b32',
      '--rollcall-good': '#63d3a0',
      '--rollcall-good-ground': '#15342a',
      '--rollcall-bad': '#ff9a92',
      '--rollcall-bad-ground': '#42201f',
      '--rollcall-warn': '#f3bd5e',
      '--rollcall-warn-ground': '#3a2d14',
      '--rollcall-calm': '#b6c2ca',
      '--rollcall-calm-ground': '#2a343c',
    },
  };
};
