/** Where a downloaded file goes: to the file that was named, or through the output. */
import { writeFileSync } from 'node:fs';
import { RollcallError } from '@rollcall/shared/domain/problem.ts';
import { Option } from 'commander';
import type { Printer } from './printer.ts';

export const outOption = new Option('--out <file>', 'file to write; - is the output');

/** `name` is undefined, or a dash, for the output. */
export async function writeOut(print: Printer, name: string | undefined, content: Uint8Array): Promise<void> {
  if (name === undefined || name === '-') {
    await print.raw(content);
    return;
  }
  try {
    writeFileSync(name, content);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new RollcallError('FILE_UNUSABLE', `cannot write ${name}: ${why}`, {
      retryable: false,
      hint: 'give another file with --out',
      cause,
    });
  }
  print.remark(`wrote ${name}`);
}
