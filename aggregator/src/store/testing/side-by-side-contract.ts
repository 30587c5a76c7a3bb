/** What every engine must do for writers that come at the same time: none waits for another crosswise, and none is lost. */
import { instantFromMs, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import { describe, expect, test } from 'vitest';
import { LedgerPen } from './ledger-pen.ts';
import type { OpenedStore } from './store-engines.ts';
import {
  addBranch,
  addKey,
  addSite,
  all,
  begin,
  enrolmentTokenDraft,
  newHash,
  newId,
  newPublicKey,
} from './tenants.ts';

const sitesCount = 25;
const rounds = 8;

export function sideBySideContract(use: () => OpenedStore): void {
  describe('writers side by side', () => {
    test('entries, contacts, leases, wishes, flags and enrolments of the same sites', async () => {
      const { store, deadlocks } = use();
      const { account, scope } = await addBranch(store);
      const sites = [];
      for (let index = 0; index < sitesCount; index++) {
        const site = await addSite(store, account, { enrolledAt: begin });
        sites.push({ site, key: await addKey(store, site.id), pen: new LedgerPen(site) });
      }
      const before = deadlocks();
      const at = (round: number) => instantFromMs(msOfInstant(begin) + round * 60_000);
      for (let round = 1; round <= rounds; round++) {
        const wish = round % 2 === 1 ? 'deactivated' : 'active';
        const plans = sites.map(({ pen, key }) =>
          pen.plan({
            at: at(round),
            keyStates: [
              { keyId: key.id, state: round % 2 === 1 ? 'warning' : 'active', at: at(round), reason: 'round' },
            ],
          }),
        );
        // Of a site that is there already: its row is locked after that of the token.
        const [first] = sites;
        const token = enrolmentTokenDraft(account, { siteId: first?.site.id ?? null });
        await store.tokens.createEnrolmentToken(token, newHash());
        const [applied, , , ...wished] = await Promise.all([
          store.ingest.apply(plans),
          store.sites.recordContacts(
            sites.map(({ site }) => ({ siteId: site.id, at: at(round), software: `rollcall-site ${round}` })).reverse(),
          ),
          store.keys.recordLeases(
            sites.map(({ key }) => ({ keyId: key.id, issuedAt: at(round), until: at(round + 1) })).reverse(),
          ),
          ...sites.map(({ key }) =>
            store.keys.wishKey(scope, key.id, wish, {
              id: newId('command'),
              name: wish === 'active' ? 'reactivate-key' : 'deactivate-key',
              keyId: key.id,
              issuedAt: at(round),
            }),
          ),
          ...sites.slice(0, 5).map(({ site }) =>
            store.sites.flagSite(site.id, 'FORK', {
              id: newId('finding'),
              siteId: site.id,
              code: 'FORK',
              message: 'side by side',
              at: at(round),
            }),
          ),
          store.sites.applyEnrolment({
            tokenId: token.id,
            usesBefore: 0,
            newSite: null,
            siteId: token.siteId ?? '',
            // Decided on another ledger: it locks the site, and then undoes itself.
            before: { enrolledAt: begin, ledgerHead: { seq: 1_000, hash: newHash() } },
            publicKey: newPublicKey(),
            at: at(round),
            newKey: null,
          }),
        ]);
        expect(applied).toEqual(plans.map(() => ({ ok: true })));
        expect(wished.slice(0, sitesCount).map((each) => each !== undefined && each.ok)).toEqual(sites.map(() => true));
      }
      expect(deadlocks() - before).toBe(0);
      for (const { site, key } of sites) {
        expect(await store.sites.site(scope, site.id)).toMatchObject({
          lastContactAt: at(rounds),
          software: `rollcall-site ${rounds}`,
          ledger: { seq: rounds },
        });
        expect(await store.keys.key(scope, key.id)).toMatchObject({
          wish: 'active',
          siteState: 'active',
          leaseIssuedAt: at(rounds),
        });
        expect(await store.keys.pendingCommands(site.id, all.limit)).toHaveLength(rounds);
      }
    }, 60_000);
  });
}
