/** A PostgreSQL database of a test's own, where a server can be reached: on this machine, or where ROLLCALL_TEST_POSTGRES says. */
import pg from 'pg';

const serverUrl = process.env['ROLLCALL_TEST_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/test';
const connectTimeoutMs = 3_000;

/** Why there is none; undefined where there is one. */
export async function postgresMissing(): Promise<string | undefined> {
  try {
    await execute('SELECT 1');
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `no PostgreSQL answers at ${new URL(serverUrl).host} (set ROLLCALL_TEST_POSTGRES): ${why}`;
  }
}

export async function openPostgresDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `rollcall_e2e_${process.pid}_${Date.now()}`;
  await execute(`CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => execute(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function execute(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl, connectionTimeoutMillis: connectTimeoutMs });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
