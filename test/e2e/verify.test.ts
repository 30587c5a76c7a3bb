/**
 * Acceptance A6: `rollcall-site verify` says yes to what the site exported and no, with the first wrong entry, after any one byte was
 * changed. The bytes are drawn by chance; the seed is printed, ROLLCALL_E2E_SEED repeats it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '@rollcall/shared/testing/seeded-random.ts';
import { expect, test } from 'vitest';
import { Endpoint } from '../support/endpoint.ts';
import { inHouse } from '../support/house.ts';
import { runProgram } from '../support/program.ts';

const changes = 30;
/** Commands that run at the same time: as many as this kind of machine has cores. */
const atOnce = 2;
const lineFeed = 10;
const genuine = 0;
const failed = 1;
const notGenuine = 2;

const seed = Number(process.env['ROLLCALL_E2E_SEED'] ?? Date.now() % 2 ** 31);

test('an exported report is verified, and the first wrong entry named after any one byte was changed', async () => {
  console.log(`verify: ROLLCALL_E2E_SEED=${seed}`);
  const random = new SeededRandom(seed);
  await inHouse({ now: '2027-11-29T12:00:00.000Z' }, async (house) => {
    const tenants = await house.furnish('2027-11');
    const { seat } = await house.addSite(tenants, 'Verità');
    await seat.startInContact();
    const proof = { joinCode: seat.joinCode };
    for (let index = 0; index < 6; index++)
      await new Endpoint(`máquina-${index}-😀`, `machine-${index}`).join(
        seat.url,
        proof,
        index < 2 ? 'server' : 'workstation',
      );
    await seat.untilSynchronised();
    await seat.stop();
    await house.aggregator.stop();
    for (const clock of [house.clock, seat.clock]) clock.set('2027-12-01T09:00:00.000Z');
    await house.aggregator.start();
    await seat.startInContact();
    const file = join(house.folder, 'november.jsonl');
    await seat.mustCli('report', 'export', '2027-11', '-o', file);
    const bytes = readFileSync(file);
    const lines = bytes.filter((byte) => byte === lineFeed).length;
    const sealed = seat.entriesOf('month-sealed')[0]?.seq;
    // Header, entries up to the report, trailer.
    expect(lines).toBe((sealed ?? Number.NaN) + 2);
    const publicKey = seat.entriesOf('site-enrolled')[0]?.body.publicKey ?? '';

    const verify = (...args: string[]) =>
      runProgram({ program: 'rollcall-site', arguments: ['verify', '--json', ...args] });
    const yes = await verify(file, '--public-key', publicKey);
    expect(yes, `${yes.output}`).toMatchObject({ code: genuine });
    expect(JSON.parse(yes.standardOutput)).toMatchObject({
      ok: true,
      siteName: 'Verità',
      publicKey,
      reports: [{ month: '2027-11', revision: 1, servers: 2, workstations: 4 }],
    });
    const another = await verify(file, '--public-key', 'A'.repeat(43));
    expect(another, `${another.output}`).toMatchObject({ code: notGenuine });
    expect(await verify(join(house.folder, 'nothing.jsonl'))).toMatchObject({ code: failed });

    // Every kind of place: in the header, in entries, in the trailer, at the ends of lines.
    const positions = [0, bytes.length - 1, bytes.indexOf(lineFeed), bytes.lastIndexOf(lineFeed, bytes.length - 2)];
    while (positions.length < changes) positions.push(random.integer(0, bytes.length - 1));
    const waiting = positions.entries();
    const work = async (): Promise<void> => {
      for (const [index, position] of waiting) {
        const before = bytes.readUInt8(position);
        // One bit, a line end where there was none, or any other byte.
        const after = random.pick(
          [before ^ (1 << random.integer(0, 7)), lineFeed, (before + random.integer(1, 255)) % 256].filter(
            (byte) => byte !== before,
          ),
        );
        const changed = Buffer.from(bytes);
        changed.writeUInt8(after, position);
        const copy = join(house.folder, `changed-${index}.jsonl`);
        writeFileSync(copy, changed);
        const verdict = await verify(copy);
        const where = `byte ${position} from ${before} to ${after}: ${verdict.output}`;
        expect(verdict.code, `${where}`).toBe(notGenuine);
        const line = bytes.subarray(0, position).filter((byte) => byte === lineFeed).length + 1;
        const isEntry = line > 1 && line < lines;
        const told: unknown = JSON.parse(verdict.standardOutput);
        expect(told, `${where}`).toMatchObject({ ok: false, line, ...(isEntry ? { seq: line - 1 } : {}) });
        if (!isEntry) expect(told, `${where}`).not.toHaveProperty('seq');
        if (isEntry && index % 10 === 0) {
          const forPeople = await runProgram({ program: 'rollcall-site', arguments: ['verify', copy] });
          expect(forPeople.standardOutput).toMatch(
            new RegExp(`the first wrong entry +entry ${line - 1} \\(line ${line}\\)`),
          );
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));

    // Cut off, and with something added.
    const cut = join(house.folder, 'cut.jsonl');
    writeFileSync(cut, bytes.subarray(0, bytes.lastIndexOf(lineFeed, bytes.length - 2) + 1));
    const truncated = await verify(cut);
    expect(truncated).toMatchObject({ code: notGenuine });
    expect(JSON.parse(truncated.standardOutput)).toMatchObject({ code: 'TRUNCATED' });
    writeFileSync(cut, Buffer.concat([bytes, Buffer.from('\n')]));
    expect(await verify(cut)).toMatchObject({ code: notGenuine });
    writeFileSync(cut, bytes);
    expect(await verify(cut)).toMatchObject({ code: genuine });
  });
}, 120_000);
