import { type ByeCode, byeCodes } from '@rollcall/shared/protocol/bye.ts';
import { describe, expect, it } from 'vitest';
import { retryAfterMs } from './retry-hint.ts';

const always = (byte: number) => (bytes: number) => new Uint8Array(bytes).fill(byte);
const codes = Object.keys(byeCodes) as ByeCode[];

describe('retryAfterMs', () => {
  it.each(codes)('gives a wait for %s where trying again helps, and none where it does not', (code) => {
    const waitMs = retryAfterMs(code, always(128));
    expect(waitMs === null).toBe(!byeCodes[code].retry);
    if (waitMs !== null) expect(Number.isInteger(waitMs) && waitMs > 0).toBe(true);
  });

  it('spreads sites that end together over half to one and a half of the wait', () => {
    expect(retryAfterMs('GOING_AWAY', always(0))).toBe(750);
    expect(retryAfterMs('GOING_AWAY', always(255))).toBe(2_250);
  });
});
