/**
 * Contacts and leases on their way to the store: written together every now and then, since thousands of sites make them and
 * nobody waits. What the store did not take is kept for the next time; a newer row of a site or key takes the older one's place.
 */
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import type { Store } from '../store/store.ts';

type Contact = { siteId: string; at: Instant; software: string | null };
type LeaseRecord = { keyId: string; issuedAt: Instant; until: Instant };

/** Rows of one write: bounds how long it holds the store. */
const rowsPerWriteMax = 500;

export class Records {
  readonly #store: Pick<Store, 'sites' | 'keys'>;
  readonly #logger: Logger;
  readonly #contacts = new Map<string, Contact>();
  readonly #leases = new Map<string, LeaseRecord>();
  #writing: Promise<void> | null = null;

  constructor(store: Pick<Store, 'sites' | 'keys'>, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
  }

  contact(contact: Contact): void {
    // A site names its software once a connection; a later contact must not lose what is still on its way.
    const software = contact.software ?? this.#contacts.get(contact.siteId)?.software ?? null;
    this.#contacts.set(contact.siteId, { ...contact, software });
  }

  lease(lease: LeaseRecord): void {
    this.#leases.set(lease.keyId, lease);
  }

  /** Writes what is there; never throws, and joins a write that is under way. */
  flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    try {
      await writeInBatches(this.#contacts, (rows) => this.#store.sites.recordContacts(rows));
      await writeInBatches(this.#leases, (rows) => this.#store.keys.recordLeases(rows));
    } catch (error) {
      this.#logger.warn(
        { err: error, contacts: this.#contacts.size, leases: this.#leases.size },
        'contacts and leases wait for the store',
      );
    }
  }
}

async function writeInBatches<Row>(rows: Map<string, Row>, write: (batch: Row[]) => Promise<void>): Promise<void> {
  const waiting = [...rows];
  for (let from = 0; from < waiting.length; from += rowsPerWriteMax) {
    const batch = waiting.slice(from, from + rowsPerWriteMax);
    await write(batch.map(([, row]) => row));
    for (const [key, row] of batch) if (rows.get(key) === row) rows.delete(key);
  }
}
