// Tells scripts/test.ts how many tests of which project passed. Owns the counting; printing is the default reporter's.
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule, Vitest } from 'vitest/node';
import type { TestCounts } from './test-counts.ts';

/** Writes the counts as JSON to the file that ROLLCALL_TEST_COUNTS names, once the run has ended. */
export default class CountReporter implements Reporter {
  #projects: string[] = [];

  onInit(vitest: Vitest): void {
    this.#projects = vitest.projects.map((project) => project.name);
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const file = process.env['ROLLCALL_TEST_COUNTS'];
    if (file === undefined) throw new Error('ROLLCALL_TEST_COUNTS names no file to write the counts to');
    const counts: TestCounts = {
      projects: Object.fromEntries(this.#projects.map((name) => [name, { passed: 0, failed: 0, skipped: 0 }])),
      errors: unhandledErrors.length,
    };
    for (const module of modules) {
      const project = (counts.projects[module.project.name] ??= { passed: 0, failed: 0, skipped: 0 });
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test that never came to an end has not passed.
        project[state === 'pending' ? 'failed' : state] += 1;
      }
      // A file that cannot be loaded has no tests to fail, a hook that throws may leave none failed.
      counts.errors += module.errors().length;
      for (const suite of module.children.allSuites()) counts.errors += suite.errors().length;
    }
    writeFileSync(file, JSON.stringify(counts));
  }
}
