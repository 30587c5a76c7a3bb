/** What every engine must do for sites, their enrolment, findings, keys and commands. */
import { siteFlags } from '@rollcall/shared/api/site.ts';
import { describe, expect, test } from 'vitest';
import { LedgerPen } from './ledger-pen.ts';
import type { OpenedStore } from './store-engines.ts';
import { awkwardNames } from './tenancy-contract.ts';
import {
  addAccount,
  addBranch,
  addKey,
  addOrganisation,
  addSite,
  all,
  begin,
  enrolmentTokenDraft,
  keyDraft,
  must,
  newHash,
  newId,
  newName,
  newPublicKey,
  siteDraft,
  walk,
} from './tenants.ts';

const later = '2026-02-01T00:00:00.000Z';
const latest = '2026-03-01T00:00:00.000Z';

export function siteContract(use: () => OpenedStore): void {
  describe('sites', () => {
    test('gives a site back as it came', async () => {
      const { store } = use();
      const { account, scope } = await addBranch(store);
      const site = await addSite(store, account, {
        timeZone: 'Europe/Rome',
        note: 'cellar\n🦊',
        settings: { staleAfterDays: 0 },
      });
      expect(await store.sites.site(scope, site.id)).toEqual(site);
      expect(await store.sites.site(scope, newId('site'))).toBeUndefined();
    });

    test.each(awkwardNames)('keeps the name %j, once within an MSP', async (name) => {
      const { store } = use();
      const { distributor, msp, account, scope } = await addBranch(store);
      const site = await addSite(store, account, { name });
      const otherAccount = await addAccount(store, msp);
      expect(await store.sites.createSite(siteDraft(otherAccount, { name: name.toUpperCase() }))).toMatchObject({
        ok: false,
        code: 'NAME_TAKEN',
      });
      const elsewhere = await addAccount(store, await addOrganisation(store, 'msp', distributor));
      expect(await store.sites.createSite(siteDraft(elsewhere, { name }))).toEqual({ ok: true });
      expect((await store.sites.site(scope, site.id))?.name).toBe(name);
    });

    test('refuses a site whose account is of another MSP', async () => {
      const { store } = use();
      const { msp } = await addBranch(store);
      const { account, scope } = await addBranch(store);
      const site = siteDraft({ ...account, mspId: msp.id });
      await expect(store.sites.createSite(site)).rejects.toMatchObject({ code: 'STORE_FAILED' });
      expect(await store.sites.site(scope, site.id)).toBeUndefined();
    });

    test('lists by filter and pages', async () => {
      const { store } = use();
      const { msp, account, site, scope } = await addBranch(store);
      const other = await addAccount(store, msp);
      for (let i = 0; i < 12; i++) await addSite(store, i % 2 === 0 ? account : other);
      await store.sites.flagSite(site.id, 'FORK', {
        id: newId('finding'),
        siteId: site.id,
        code: 'FORK',
        message: 'two pasts',
        at: begin,
      });
      const seen = await walk((page) => store.sites.sites(scope, {}, page), 4);
      expect(new Set(seen.map(({ id }) => id)).size).toBe(13);
      expect(seen.length).toBe(13);
      expect((await store.sites.sites(scope, { accountId: other.id }, all)).rows.length).toBe(6);
      expect((await store.sites.sites(scope, { flagged: true }, all)).rows.map(({ id }) => id)).toEqual([site.id]);
      expect((await store.sites.sites(scope, { flagged: false, mspId: msp.id }, all)).rows.length).toBe(12);
    });

    test('changes settings and note apart from each other', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      expect(await store.sites.changeSite(scope, site.id, { note: 'new' })).toEqual({ ...site, note: 'new' });
      expect(await store.sites.changeSite(scope, site.id, { settings: { staleAfterDays: 7 } })).toEqual({
        ...site,
        note: 'new',
        settings: { staleAfterDays: 7 },
      });
      expect(await store.sites.changeSite(scope, site.id, {})).toMatchObject({ note: 'new' });
    });

    test('closes once; the first instant stays', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      for (const at of [later, latest]) expect((await store.sites.closeSite(scope, site.id, at))?.closedAt).toBe(later);
    });

    test('adds one finding however often a site is flagged, and resolves it with the flag', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      const flag = () =>
        store.sites.flagSite(site.id, 'FORK', {
          id: newId('finding'),
          siteId: site.id,
          code: 'FORK',
          message: 'two pasts',
          at: begin,
        });
      await Promise.all(Array.from({ length: 50 }, flag));
      expect((await store.sites.site(scope, site.id))?.flag).toBe('FORK');
      expect((await store.sites.findings(scope, { siteId: site.id, open: true }, all)).rows).toMatchObject([
        { code: 'FORK', message: 'two pasts', at: begin, resolvedAt: null },
      ]);
      expect((await store.sites.clearFlag(scope, site.id, later))?.flag).toBeNull();
      expect((await store.sites.findings(scope, { open: true }, all)).rows).toEqual([]);
      await flag();
      const findings = await walk((page) => store.sites.findings(scope, {}, page), 1);
      expect(new Set(findings.map(({ resolvedAt }) => resolvedAt))).toEqual(new Set([later, null]));
      expect(findings.length).toBe(2);
    });

    test('leaves a finding open that is no refusal, whether the flag is lifted or the site enrols anew', async () => {
      const { store } = use();
      const { account, site, scope } = await addBranch(store);
      const pen = new LedgerPen(site);
      const codes = ['REPORT_DIFFERS', 'CLOCK_ANOMALY', 'UNKNOWN_ENTRY', 'REPORT_CORRECTED'];
      const finding = (code: string) => ({ id: newId('finding'), siteId: site.id, code, message: code, at: begin });
      await store.ingest.apply([pen.plan({ at: begin, findings: codes.map(finding) })]);
      const openCodes = async () =>
        (await store.sites.findings(scope, { open: true }, all)).rows.map(({ code }) => code).toSorted();
      for (const flag of siteFlags) await store.sites.flagSite(site.id, flag, finding(flag));
      expect(await openCodes()).toEqual([...codes, ...siteFlags].toSorted());
      await store.sites.clearFlag(scope, site.id, later);
      expect(await openCodes()).toEqual(codes.toSorted());
      for (const flag of siteFlags) await store.sites.flagSite(site.id, flag, finding(flag));
      const token = enrolmentTokenDraft(account, { siteId: site.id });
      await store.tokens.createEnrolmentToken(token, newHash());
      must(
        await store.sites.applyEnrolment({
          tokenId: token.id,
          usesBefore: 0,
          newSite: null,
          siteId: site.id,
          before: { enrolledAt: begin, ledgerHead: { seq: pen.head.seq, hash: pen.head.hash } },
          publicKey: newPublicKey(),
          at: later,
          newKey: null,
        }),
      );
      expect(await openCodes()).toEqual(codes.toSorted());
    });

    test('records contacts of many sites at once, and no contact backwards', async () => {
      const { store } = use();
      const { account, scope } = await addBranch(store);
      const sites = [];
      for (let i = 0; i < 1_100; i++) sites.push(siteDraft(account));
      for (const site of sites.slice(0, 3)) must(await store.sites.createSite(site));
      await store.sites.recordContacts(sites.map(({ id }) => ({ siteId: id, at: later, software: 'rollcall 1' })));
      const [first, second] = sites as [(typeof sites)[0], (typeof sites)[0]];
      await store.sites.recordContacts([
        { siteId: first.id, at: begin, software: null },
        { siteId: second.id, at: latest, software: 'rollcall 2' },
        { siteId: second.id, at: begin, software: 'rollcall 0' },
      ]);
      expect(await store.sites.site(scope, first.id)).toMatchObject({ lastContactAt: later, software: 'rollcall 1' });
      expect(await store.sites.site(scope, second.id)).toMatchObject({ lastContactAt: latest, software: 'rollcall 2' });
      await store.sites.recordContacts([]);
    });
  });

  describe('enrolment', () => {
    async function oneTime(changes = {}) {
      const { store } = use();
      const branch = await addBranch(store);
      const site = await addSite(store, branch.account);
      const [token, hash] = [enrolmentTokenDraft(branch.account, { siteId: site.id, ...changes }), newHash()];
      await store.tokens.createEnrolmentToken(token, hash);
      return { ...branch, store, site, token, hash };
    }
    const plan = (tokenId: string, siteId: string) => ({
      tokenId,
      usesBefore: 0,
      newSite: null,
      siteId,
      before: { enrolledAt: null as string | null, ledgerHead: null as { seq: number; hash: string } | null },
      publicKey: newPublicKey(),
      at: begin,
      newKey: null,
    });

    test('enrols a site by its one-time token', async () => {
      const { store, account, site, token, hash, scope } = await oneTime();
      expect(await store.sites.enrolmentView(hash, newPublicKey())).toEqual({
        token,
        account,
        site,
        sitePublicKey: null,
        ingestHead: null,
      });
      expect(await store.sites.enrolmentView(newHash(), newPublicKey())).toBeUndefined();
      const newKey = { key: keyDraft(site.id), keyText: newName('text') };
      const { publicKey, ...enrolment } = plan(token.id, site.id);
      expect(await store.sites.applyEnrolment({ ...enrolment, publicKey, newKey })).toEqual({ ok: true });
      expect(await store.sites.enrolmentView(hash, newPublicKey())).toMatchObject({
        token: { uses: 1 },
        site: { enrolledAt: begin },
        sitePublicKey: publicKey,
      });
      expect(await store.sites.session(site.id)).toMatchObject({ site: { id: site.id }, publicKey, state: undefined });
      expect((await store.keys.keys(scope, { siteId: site.id }, all)).rows).toEqual([newKey.key]);
    });

    test('lets 50 machines with the same token enrol one', async () => {
      const { store, site, token, hash } = await oneTime();
      const plans = Array.from({ length: 50 }, () => plan(token.id, site.id));
      const outcomes = await Promise.all(plans.map((each) => store.sites.applyEnrolment(each)));
      expect(outcomes.filter(({ ok }) => ok).length).toBe(1);
      expect(outcomes.filter((outcome) => !outcome.ok && outcome.code === 'CONFLICT').length).toBe(49);
      const winner = plans[outcomes.findIndex(({ ok }) => ok)];
      expect(await store.sites.enrolmentView(hash, newPublicKey())).toMatchObject({
        token: { uses: 1 },
        sitePublicKey: winner?.publicKey,
      });
    });

    test.each([
      ['withdrawn', { withdrawnAt: begin }],
      ['expired', { expiresAt: begin }],
      ['used', { uses: 1 }],
    ])('does not use a %s token, whatever the plan says', async (_, changes) => {
      const { store, site, token, hash } = await oneTime(changes);
      const each = { ...plan(token.id, site.id), usesBefore: token.uses };
      expect(await store.sites.applyEnrolment(each)).toMatchObject({ ok: false, code: 'CONFLICT' });
      expect(await store.sites.enrolmentView(hash, newPublicKey())).toMatchObject({ token, sitePublicKey: null });
    });

    test('makes a site by a roll-out token, which its own key finds again', async () => {
      const { store, account, scope } = await oneTime();
      const [token, hash, otherHash] = [enrolmentTokenDraft(account, { usesMax: 3 }), newHash(), newHash()];
      await store.tokens.createEnrolmentToken(token, hash);
      await store.tokens.createEnrolmentToken(enrolmentTokenDraft(account, { usesMax: 3 }), otherHash);
      const newSite = siteDraft(account);
      const { publicKey, ...enrolment } = plan(token.id, newSite.id);
      expect(await store.sites.applyEnrolment({ ...enrolment, publicKey, newSite })).toEqual({ ok: true });
      expect(await store.sites.site(scope, newSite.id)).toEqual({ ...newSite, enrolledAt: begin });
      expect((await store.sites.enrolmentView(hash, publicKey))?.site?.id).toBe(newSite.id);
      expect((await store.sites.enrolmentView(hash, newPublicKey()))?.site).toBeUndefined();
      expect((await store.sites.enrolmentView(otherHash, publicKey))?.site).toBeUndefined();
    });

    test('leaves no trace of an enrolment whose name is taken in its middle', async () => {
      const { store, account, site, scope } = await oneTime();
      const [token, hash] = [enrolmentTokenDraft(account, { usesMax: 3 }), newHash()];
      await store.tokens.createEnrolmentToken(token, hash);
      const newSite = siteDraft(account, { name: site.name });
      expect(await store.sites.applyEnrolment({ ...plan(token.id, newSite.id), newSite })).toMatchObject({
        ok: false,
        code: 'NAME_TAKEN',
      });
      expect(await store.sites.enrolmentView(hash, newPublicKey())).toMatchObject({ token: { uses: 0 } });
      expect(await store.sites.site(scope, newSite.id)).toBeUndefined();
    });

    test('enrols a known site anew: another key, the flag lifted, its first day of life kept', async () => {
      const { store, site, token, account, scope } = await oneTime();
      const first = plan(token.id, site.id);
      await store.sites.applyEnrolment(first);
      const pen = new LedgerPen(site, first.publicKey);
      await store.ingest.apply([pen.plan({ at: begin })]);
      await store.sites.flagSite(site.id, 'CLONE_SUSPECTED', {
        id: newId('finding'),
        siteId: site.id,
        code: 'CLONE_SUSPECTED',
        message: 'two',
        at: begin,
      });
      const [again, hash] = [enrolmentTokenDraft(account, { siteId: site.id }), newHash()];
      await store.tokens.createEnrolmentToken(again, hash);
      expect(await store.sites.enrolmentView(hash, newPublicKey())).toMatchObject({
        ingestHead: { seq: 1, hash: pen.head.hash },
      });
      const { seq, hash: headHash } = pen.head;
      const anew = {
        ...plan(again.id, site.id),
        before: { enrolledAt: begin, ledgerHead: { seq, hash: headHash } },
        at: later,
      };
      expect(await store.sites.applyEnrolment(anew)).toEqual({ ok: true });
      expect(await store.sites.session(site.id)).toMatchObject({
        publicKey: anew.publicKey,
        site: { flag: null, enrolledAt: begin },
      });
      expect((await store.sites.findings(scope, { siteId: site.id, open: true }, all)).rows).toEqual([]);
    });

    test('gives no key to a site that has changed since it was looked at', async () => {
      const { store, site, token, account, scope, hash } = await oneTime();
      const first = plan(token.id, site.id);
      await store.sites.applyEnrolment(first);
      const pen = new LedgerPen(site, first.publicKey);
      const again = enrolmentTokenDraft(account, { siteId: site.id });
      await store.tokens.createEnrolmentToken(again, newHash());
      const isRefused = async (before: ReturnType<typeof plan>['before']): Promise<void> =>
        expect(await store.sites.applyEnrolment({ ...plan(again.id, site.id), before })).toMatchObject({
          ok: false,
          code: 'CONFLICT',
        });
      await isRefused({ enrolledAt: null, ledgerHead: null });
      await isRefused({ enrolledAt: later, ledgerHead: null });
      await isRefused({ enrolledAt: begin, ledgerHead: { seq: 1, hash: newHash() } });
      // The old key's entries come in between the look and the plan.
      await store.ingest.apply([pen.plan({ at: begin, entries: 2 })]);
      await isRefused({ enrolledAt: begin, ledgerHead: null });
      await isRefused({ enrolledAt: begin, ledgerHead: { seq: 2, hash: newHash() } });
      await isRefused({ enrolledAt: begin, ledgerHead: { seq: 1, hash: pen.head.hash } });
      expect((await store.sites.enrolmentView(hash, newPublicKey()))?.sitePublicKey).toBe(first.publicKey);
      const before = { enrolledAt: begin, ledgerHead: { seq: 2, hash: pen.head.hash } };
      expect(await store.sites.applyEnrolment({ ...plan(again.id, site.id), before })).toEqual({ ok: true });
      expect((await store.sites.site(scope, site.id))?.enrolledAt).toBe(begin);
    });

    test('gives a key before the entries of the old one, or after all of them, never between', async () => {
      const { store, site, token, account } = await oneTime();
      const first = plan(token.id, site.id);
      await store.sites.applyEnrolment(first);
      const pen = new LedgerPen(site, first.publicKey);
      await store.ingest.apply([pen.plan({ at: begin })]);
      for (let times = 0; times < 10; times++) {
        const again = enrolmentTokenDraft(account, { siteId: site.id });
        await store.tokens.createEnrolmentToken(again, newHash());
        const { seq, hash } = pen.head;
        const anew = { ...plan(again.id, site.id), before: { enrolledAt: begin, ledgerHead: { seq, hash } } };
        const { publicKey } = (await store.sites.session(site.id)) ?? {};
        const next = new LedgerPen(site, publicKey ?? undefined);
        next.head = pen.head;
        const [enrolled, [entered]] = await Promise.all([
          store.sites.applyEnrolment(anew),
          store.ingest.apply([next.plan({ at: begin })]),
        ]);
        expect([enrolled.ok, entered?.ok]).toContainEqual(true);
        expect(enrolled.ok).not.toBe(entered?.ok);
        if (!enrolled.ok) pen.head = next.head;
      }
    });

    test('knows no session of a site that is not there', async () => {
      expect(await use().store.sites.session(newId('site'))).toBeUndefined();
    });
  });

  describe('product keys', () => {
    const command = (keyId: string, name = 'deactivate-key') => ({
      id: newId('command'),
      name,
      keyId,
      issuedAt: begin,
    });

    test('gives a site one key of a product', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () => store.keys.createKey(keyDraft(site.id), newName('text'))),
      );
      expect(outcomes.filter(({ ok }) => ok).length).toBe(1);
      expect(outcomes.filter((outcome) => !outcome.ok && outcome.code === 'SITE_HAS_KEY').length).toBe(49);
      const [record] = await store.keys.keysOfSite(site.id);
      expect(await store.keys.key(scope, record?.key.id as string)).toEqual(record?.key);
      expect(record?.keyText).toMatch(/^text /);
    });

    test('lists by filter and pages', async () => {
      const { store } = use();
      const { msp, account, scope } = await addBranch(store);
      const keys = [];
      for (let i = 0; i < 7; i++) keys.push(await addKey(store, (await addSite(store, account)).id));
      const seen = await walk((page) => store.keys.keys(scope, { mspId: msp.id }, page), 3);
      expect(seen.map(({ id }) => id).toSorted()).toEqual(keys.map(({ id }) => id).toSorted());
      expect((await store.keys.keys(scope, { siteId: keys[0]?.siteId }, all)).rows).toEqual([keys[0]]);
      expect((await store.keys.keys(scope, { accountId: account.id }, all)).rows.length).toBe(7);
    });

    test('queues one command for a wish, however many wish it', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      const key = await addKey(store, site.id);
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () => store.keys.wishKey(scope, key.id, 'deactivated', command(key.id))),
      );
      expect(outcomes.filter(({ ok }) => ok).length).toBe(1);
      expect(outcomes.filter((outcome) => !outcome.ok && outcome.code === 'UNCHANGED').length).toBe(49);
      expect((await store.keys.pendingCommands(site.id, 10)).length).toBe(1);
      expect(await store.keys.key(scope, key.id)).toEqual({ ...key, wish: 'deactivated' });
    });

    test('gives pending commands in the order of the wishes, until they are answered', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      const other = (await addBranch(store)).site;
      const key = await addKey(store, site.id);
      const commands = Array.from({ length: 6 }, (_, i) =>
        command(key.id, i % 2 === 0 ? 'deactivate-key' : 'reactivate-key'),
      );
      for (const [i, each] of commands.entries())
        must(await store.keys.wishKey(scope, key.id, i % 2 === 0 ? 'deactivated' : 'active', each));
      expect(await store.keys.pendingCommands(site.id, 500)).toEqual(commands);
      expect(await store.keys.pendingCommands(site.id, 2)).toEqual(commands.slice(0, 2));

      const answer = (index: number, code: string | null) => ({
        commandId: commands[index]?.id as string,
        outcome: 'applied' as const,
        code,
        at: later,
      });
      const stranger = new LedgerPen(other).plan({ at: begin, commandsApplied: [answer(2, null)] });
      const plan = new LedgerPen(site).plan({
        at: begin,
        commandsApplied: [answer(0, null), answer(1, null), answer(1, 'SECOND_ANSWER')],
      });
      expect(await store.ingest.apply([stranger, plan])).toEqual([{ ok: true }, { ok: true }]);
      expect(await store.keys.pendingCommands(site.id, 500)).toEqual(commands.slice(2));
    });

    test('takes the state of a key from its own site only', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      const other = (await addBranch(store)).site;
      const key = await addKey(store, site.id);
      const says = (state: 'restricted' | 'deactivated') => [{ keyId: key.id, state, at: begin, reason: 'said' }];
      const own = new LedgerPen(site).plan({ at: begin, keyStates: [...says('deactivated'), ...says('restricted')] });
      await store.ingest.apply([own, new LedgerPen(other).plan({ at: begin, keyStates: says('deactivated') })]);
      expect((await store.keys.key(scope, key.id))?.siteState).toBe('restricted');
    });

    test('remembers the lease in force, never an older one', async () => {
      const { store } = use();
      const { site, scope } = await addBranch(store);
      const key = await addKey(store, site.id);
      await store.keys.recordLeases([
        { keyId: key.id, issuedAt: later, until: latest },
        { keyId: key.id, issuedAt: begin, until: later },
        { keyId: newId('productKey'), issuedAt: begin, until: later },
      ]);
      await store.keys.recordLeases([{ keyId: key.id, issuedAt: begin, until: later }]);
      expect(await store.keys.key(scope, key.id)).toMatchObject({ leaseIssuedAt: later, leaseUntil: latest });
    });

    test('finds no key to wish for outside the scope', async () => {
      const { store } = use();
      const { site } = await addBranch(store);
      const stranger = await addBranch(store);
      const key = await addKey(store, site.id);
      expect(await store.keys.wishKey(stranger.scope, key.id, 'deactivated', command(key.id))).toMatchObject({
        ok: false,
        code: 'NOT_FOUND',
      });
      expect(await store.keys.pendingCommands(site.id, 10)).toEqual([]);
    });
  });
}
