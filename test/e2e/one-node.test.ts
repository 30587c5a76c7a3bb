/**
 * One aggregator serves a database at a time: a second one is told so in a sentence, short commands work beside it, a killed one
 * leaves the database free, and one whose database was taken over ends.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import { AggregatorSeat } from '../support/aggregator-seat.ts';
import { openPostgresDatabase, postgresMissing } from '../support/postgres.ts';
import { WallClock } from '../support/wall-clock.ts';

const disposals: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
});

async function seatOn(database: string): Promise<AggregatorSeat> {
  const clock = new WallClock('2027-03-10T08:00:00.000Z');
  const seat = await AggregatorSeat.open({ database, clock });
  disposals.push(
    () => clock.dispose(),
    () => seat.end(),
  );
  return seat;
}

function sqliteDatabase(): string {
  const folder = mkdtempSync(join(tmpdir(), 'rollcall-one-node-'));
  disposals.push(() => rmSync(folder, { recursive: true, force: true }));
  return `sqlite:${join(folder, 'rollcall.db')}`;
}

async function postgresDatabase(): Promise<string> {
  const database = await openPostgresDatabase();
  disposals.push(() => database.drop());
  return database.url;
}

const missing = await postgresMissing();

const databases: { name: string; make: () => string | Promise<string> }[] = [
  { name: 'SQLite', make: sqliteDatabase },
  ...(missing === undefined ? [{ name: 'PostgreSQL', make: postgresDatabase }] : []),
];

test.each(databases)(
  'a second aggregator on one $name database is refused, and a killed one makes room',
  async ({ make }) => {
    const database = await make();
    const first = await seatOn(database);
    const vendor = ['--name', 'Backup AG', '--country', 'CH', '--currency', 'CHF'];
    await first.cli('', 'setup', ...vendor);
    await first.start();
    const second = await seatOn(database);
    const refused = second.spawn();
    expect(await refused.ended).toMatchObject({ code: 1 });
    expect(refused.output()).toMatch(/^rollcall: DATABASE_IN_USE: another aggregator serves this database already/m);
    expect(await second.cli('', 'setup', '--new-token')).toContain('TOKEN');
    expect(await first.listens()).toBe(true);
    await first.kill();
    await second.start();
  },
);

test.skipIf(missing !== undefined)(
  'an aggregator whose PostgreSQL database was taken over ends, and says why',
  async () => {
    const database = await postgresDatabase();
    const seat = await seatOn(database);
    const program = await seat.start();
    const other = new pg.Client({ connectionString: database });
    await other.connect();
    disposals.push(() => other.end());
    const lock = `FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND application_name = 'rollcall node'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
    const { rows } = await other.query(`SELECT classid, objid, activity.pid ${lock}`);
    const [{ classid, objid, pid }] = rows as [Record<string, unknown>];
    const waiting = new pg.Client({ connectionString: database });
    await waiting.connect();
    disposals.push(() => waiting.end());
    const taken = waiting.query('SELECT pg_advisory_lock(($1::bigint << 32) | $2::bigint)', [classid, objid]);
    await other.query('SELECT pg_terminate_backend($1)', [pid]);
    await taken;
    expect(await program.ended).toMatchObject({ code: 1 });
    expect(program.output()).toContain('the aggregator cannot go on');
    expect(program.output()).toContain('DATABASE_IN_USE');
  },
);
