// How many tests passed: what the reporter tells and scripts/test.ts adds up.
import { z } from 'zod';

const count = z.int().nonnegative();

export const TestCounts = z.object({
  /** By project of vitest.config.ts. */
  projects: z.record(z.string(), z.object({ passed: count, failed: count, skipped: count })),
  /** Failures outside any one test: a file that does not load, a hook that throws, a promise nobody awaited. */
  errors: count,
});
export type TestCounts = z.infer<typeof TestCounts>;
