// The few drawings of the pages: the mark and the icons. Each stands beside words, so screen readers skip it.
import type { ReactNode } from 'react';

/** A roll called: four strokes and the one across. */
export function Mark({ size }: { size: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#176476" />
      <g stroke="#fff" strokeWidth="2.6" strokeLinecap="round">
        <path d="M9 9v14M13.7 9v14M18.3 9v14M23 9v14" />
        <path d="M6 21.5 26 10.5" stroke="#8fe3c8" />
      </g>
    </svg>
  );
}

function Outline({ children }: { children: ReactNode }) {
  return (
    <svg
      viewBox="0 0 24 24"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const DownloadIcon = () => (
  <Outline>
    <path d="M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 20h14" />
  </Outline>
);

export const RefreshIcon = () => (
  <Outline>
    <path d="M20 11a8 8 0 1 0-1.6 6M20 5v6h-6" />
  </Outline>
);

export const SignOutIcon = () => (
  <Outline>
    <path d="M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 8l-4 4 4 4M6 12h10" />
  </Outline>
);
