// Which tests there are, and how long each kind may take. Tests lie beside their sources; what needs more than one
// package lies under test/.
import { defineConfig } from 'vitest/config';

const unit = { environment: 'node', testTimeout: 20_000, hookTimeout: 20_000 } as const;
// The long ones wait until the quick ones are done, and for each other: they measure time, and real processes need theirs.
const long = { environment: 'node', testTimeout: 180_000, hookTimeout: 60_000 } as const;

export default defineConfig({
  test: {
    // Time zones come in as data. A test that passes only in the zone of one machine is wrong.
    env: { TZ: 'UTC' },
    projects: [
      { extends: true, test: { ...unit, name: 'shared', include: ['shared/src/**/*.test.ts'] } },
      { extends: true, test: { ...unit, name: 'agent', include: ['agent/src/**/*.test.ts'] } },
      { extends: true, test: { ...unit, name: 'aggregator', include: ['aggregator/src/**/*.test.ts'] } },
      { extends: true, test: { ...unit, name: 'dashboard', include: ['aggregator/dashboard/src/**/*.test.{ts,tsx}'] } },
      { extends: true, test: { ...unit, name: 'architecture', include: ['test/architecture/**/*.test.ts'] } },
      { extends: true, test: { ...unit, name: 'conformance', include: ['test/conformance/**/*.test.ts'] } },
      {
        extends: true,
        test: { ...long, name: 'simulation', sequence: { groupOrder: 1 }, include: ['test/simulation/**/*.test.ts'] },
      },
      {
        extends: true,
        test: { ...long, name: 'e2e', sequence: { groupOrder: 2 }, include: ['test/{e2e,support,bench}/**/*.test.ts'] },
      },
    ],
  },
});
