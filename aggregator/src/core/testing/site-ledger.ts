/** An honest site's ledger for tests: what a Site Manager would write, chained, its months sealed and signed as they end. */
import type { AgentKind } from '@rollcall/shared/domain/agent-kind.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Month, monthOf, monthPeriod, nextMonth } from '@rollcall/shared/domain/month.ts';
import { canonicalJson } from '@rollcall/shared/ledger/canonical-json.ts';
import { chainDrafts, chainText, emptyHead, type Head } from '@rollcall/shared/ledger/chain.ts';
import type { Signer } from '@rollcall/shared/ledger/crypto.ts';
import { type EntryDraft, LedgerEntry } from '@rollcall/shared/ledger/entry.ts';
import { IntervalBook } from '@rollcall/shared/ledger/intervals.ts';
import { type DeployedAgentsReport, type Exclusion, sealReport } from '@rollcall/shared/ledger/report.ts';
import { nodeDigest } from '@rollcall/shared/node/crypto.ts';

/** An endpoint's identifier from a small number. */
export const endpointId = (index: number): string => `ep_${String(index).padStart(20, '0')}`;
export const keyId = 'key_00000000000000000001';

const facts = (index: number) => ({
  hostName: `host-${index}`,
  origin: 'managed' as const,
  product: 'metered-agent' as const,
  agentVersion: '1.0',
});

export class SiteLedger {
  readonly siteId: string;
  readonly timeZone: string;
  readonly entries: LedgerEntry[] = [];
  readonly book = new IntervalBook();
  readonly reports = new Map<Month, DeployedAgentsReport>();
  signer: Signer;
  head: Head = emptyHead;
  #month: Month;
  #periodStart: Instant;

  constructor(site: { siteId: string; timeZone: string; signer: Signer; at: Instant }) {
    this.siteId = site.siteId;
    this.timeZone = site.timeZone;
    this.signer = site.signer;
    this.#month = monthOf(site.at, site.timeZone);
    this.#periodStart = site.at;
    this.enrol(site.at);
  }

  enrol(at: Instant, changes: Partial<{ siteId: string; timeZone: string; publicKey: string }> = {}): void {
    const { siteId, timeZone } = this;
    const body = {
      siteId,
      siteName: 'Test',
      timeZone,
      publicKey: this.signer.publicKey,
      software: 'test 1',
      settings: { staleAfterDays: 30 },
      ...changes,
    };
    this.append({ at, kind: 'site-enrolled', body });
  }

  /** Appends after sealing every month that is over by then. */
  record(draft: EntryDraft): void {
    this.sealUntil(draft.at);
    this.append(draft);
  }

  deploy(index: number, kind: AgentKind, at: Instant): void {
    const body = {
      endpointId: endpointId(index),
      machineId: `machine-${index}`,
      keyId,
      ...facts(index),
      agentKind: kind,
    };
    this.record({ at, kind: 'agent-deployed', body });
  }

  change(index: number, agentKindBefore: AgentKind, agentKind: AgentKind, at: Instant): void {
    this.record({
      at,
      kind: 'agent-changed',
      body: { endpointId: endpointId(index), agentKindBefore, ...facts(index), agentKind },
    });
  }

  remove(index: number, agentKind: AgentKind, at: Instant): void {
    this.record({
      at,
      kind: 'agent-removed',
      body: { endpointId: endpointId(index), agentKind, reason: 'uninstalled' },
    });
  }

  sealUntil(at: Instant): void {
    for (
      let end = monthPeriod(this.#month, this.timeZone).end;
      end <= at;
      end = monthPeriod(this.#month, this.timeZone).end
    )
      this.sealNext({});
  }

  /** Seals the running month at its end, with figures bent by `changes` and signed all the same. */
  sealNext(changes: Partial<DeployedAgentsReport>): void {
    const month = this.#month;
    const { end } = monthPeriod(month, this.timeZone);
    const report = this.#report(month, { start: this.#periodStart, end }, 1, []);
    this.append({ at: end, kind: 'month-sealed', body: this.sign({ ...report, ...changes }) });
    this.reports.set(month, report);
    this.#month = nextMonth(month);
    this.#periodStart = end;
  }

  correct(month: Month, exclusions: Exclusion[], at: Instant, changes: Partial<DeployedAgentsReport> = {}): void {
    this.sealUntil(at);
    const before = this.reports.get(month);
    if (before === undefined) throw new RangeError(`${month} is not sealed`);
    const report = this.#report(month, before.period, before.revision + 1, exclusions);
    this.append({ at, kind: 'report-corrected', body: this.sign({ ...report, ...changes }) });
    this.reports.set(month, report);
  }

  append(...drafts: EntryDraft[]): void {
    for (const draft of drafts) this.book.apply(draft);
    const { entries, head } = chainDrafts(this.head, drafts, nodeDigest);
    this.entries.push(...entries.map(({ entry }) => LedgerEntry.parse(entry)));
    this.head = head;
  }

  /** Appends what no draft can be: another kind, another body. */
  appendRaw(raw: Pick<LedgerEntry, 'at' | 'kind' | 'body'>): void {
    const entry: LedgerEntry = { ...raw, seq: this.head.seq + 1, prev: this.head.hash };
    this.entries.push(entry);
    this.head = { seq: entry.seq, hash: nodeDigest.sha256(chainText(entry)), at: entry.at };
  }

  /** Signs a report whatever it says, as a program with an error would. */
  sign(report: DeployedAgentsReport): DeployedAgentsReport {
    const { signature: _, ...content } = report;
    return { ...content, signature: this.signer.sign(`rollcall.report.v1\n${canonicalJson(content)}`) };
  }

  #report(
    month: Month,
    period: { start: Instant; end: Instant },
    revision: number,
    exclusions: Exclusion[],
  ): DeployedAgentsReport {
    const { siteId, timeZone } = this;
    const upTo = { seq: this.head.seq, hash: this.head.hash };
    const facts = {
      siteId,
      siteName: 'Test',
      month,
      timeZone,
      period,
      revision,
      activeAtClose: { server: 0, workstation: 0 },
      upTo,
      exclusions,
    };
    return sealReport({ ...facts, sealedAt: period.end }, this.book.all(), nodeDigest, this.signer);
  }
}
