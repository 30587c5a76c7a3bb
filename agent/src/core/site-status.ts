/** What a site shows of itself: to its operator, and in short to the aggregator. Reads the state and changes nothing. */
import type { HealthCondition, SiteStatus } from '@rollcall/shared/api/local.ts';
import { type Instant, msOfInstant } from '@rollcall/shared/domain/instant.ts';
import type { KeyState } from '@rollcall/shared/domain/product-key.ts';
import { settleMeter } from '@rollcall/shared/metering/month-meter.ts';
import type { Status } from '@rollcall/shared/protocol/status.ts';
import { contactLostAfterMs } from './contact.ts';
import { activeAgents } from './month-sealing.ts';
import { instantOf, isWallClockWrong, peekTime, type Reading } from './site-clock.ts';
import type { SiteState } from './site-state.ts';

export type StatusFacts = { aggregatorUrl: string; software: string };

/** The picture an operator sees, with the conditions worth knowing of, worst first. */
export function siteStatus(state: SiteState, reading: Reading, facts: StatusFacts): SiteStatus {
  const { identity, soft, openMonth } = state;
  const now = timeAt(state, reading);
  const peaks = settleMeter(openMonth.meter);
  const { server, workstation } = openMonth.meter;
  return {
    siteId: identity.siteId,
    siteName: identity.siteName,
    timeZone: identity.timeZone,
    aggregatorUrl: facts.aggregatorUrl,
    software: facts.software,
    now,
    connected: state.connected,
    lastContactAt: state.connected ? now : soft.lastContactAt,
    ledger: { seq: state.head.seq, acknowledgedSeq: soft.acknowledgedSeq },
    keys: [...state.keys.values()].flatMap((key) => {
      const lease = soft.leases.get(key.keyId);
      if (lease === undefined) return [];
      const { keyId, product, keyHint } = key;
      return [{ keyId, product, keyHint, state: key.state, leaseIssuedAt: lease.issuedAt, leaseUntil: lease.until }];
    }),
    settings: state.settings,
    deployed: { server: server.count, workstation: workstation.count },
    active: activeAgents(state, now),
    month: openMonth.month,
    peakSoFar: { server: peaks.server.peak, workstation: peaks.workstation.peak },
    conditions: conditionsOf(state, now),
  };
}

/** The latest picture for the aggregator's console. */
export function wireStatus(state: SiteState, reading: Reading): Status {
  const at = timeAt(state, reading);
  const { server, workstation } = state.openMonth.meter;
  let lastCheckInAt: Instant | null = null;
  for (const { lastHeardAt } of state.soft.registrations.values())
    if (lastHeardAt !== null && (lastCheckInAt === null || lastHeardAt > lastCheckInAt)) lastCheckInAt = lastHeardAt;
  const deployed = { server: server.count, workstation: workstation.count };
  return { kind: 'status', at, deployed, active: activeAgents(state, at), lastCheckInAt };
}

function timeAt(state: SiteState, reading: Reading): Instant {
  const now = peekTime(state.clock, reading);
  return now < state.head.at ? state.head.at : now;
}

const keyConditions = {
  warning: { code: 'KEY_WARNING', says: 'has had no contact for a quarter of its lease' },
  restricted: { code: 'KEY_RESTRICTED', says: 'allows no new deployments: no contact for half of its lease' },
  'disabled-offline': {
    code: 'KEY_DISABLED',
    says: 'is disabled: its lease ran out without contact; restoring data stays possible',
  },
  deactivated: { code: 'KEY_DEACTIVATED', says: 'was deactivated in the portal; restoring data stays possible' },
} as const satisfies Partial<Record<KeyState, { code: HealthCondition['code']; says: string }>>;

const severity = [
  'OUT_OF_CONTACT',
  'REFUSED_BY_AGGREGATOR',
  'NOT_ACKNOWLEDGED',
  'KEY_DISABLED',
  'KEY_DEACTIVATED',
  'KEY_RESTRICTED',
  'KEY_WARNING',
  'NO_KEY',
  'TIME_UNCONFIRMED',
  'AGGREGATOR_CLOCK_DIFFERS',
  'CLOCK_WRONG',
  'NOTICE',
] as const satisfies readonly HealthCondition['code'][];

function conditionsOf(state: SiteState, now: Instant): HealthCondition[] {
  const { soft, clock } = state;
  const found: HealthCondition[] = [];
  const lastContactAt = soft.lastContactAt ?? state.identity.enrolledAt;
  if (!state.connected && msOfInstant(now) - msOfInstant(lastContactAt) >= contactLostAfterMs)
    found.push({ code: 'OUT_OF_CONTACT', message: 'there is no contact with the aggregator', since: lastContactAt });
  if (soft.refusal !== null)
    found.push({
      code: 'REFUSED_BY_AGGREGATOR',
      message: `${soft.refusal.code}: ${soft.refusal.message}`,
      since: soft.refusal.at,
    });
  if (state.unacknowledgedSince !== null)
    found.push({
      code: 'NOT_ACKNOWLEDGED',
      message: `the aggregator answers, but acknowledges no entry after ${soft.acknowledgedSeq}; they are kept here and sent again`,
      since: state.unacknowledgedSince,
    });
  for (const key of state.keys.values()) {
    if (key.state === 'active') continue;
    const { code, says } = keyConditions[key.state];
    found.push({ code, message: `the key …${key.keyHint} ${says}`, since: key.stateSince });
  }
  if (state.keys.size === 0) found.push({ code: 'NO_KEY', message: 'this site has no product key', since: null });
  if (clock.unconfirmed !== null)
    found.push({
      code: 'TIME_UNCONFIRMED',
      message:
        'the clock is far ahead of the last known time and nothing has confirmed it yet; rollcall-site confirm-clock does',
      since: instantOf(clock.unconfirmed.lastKnownMs),
    });
  if (clock.aggregatorDiffers !== null) {
    const { differenceMs, sinceMs } = clock.aggregatorDiffers;
    const told = instantOf(msOfInstant(now) + differenceMs);
    found.push({
      code: 'AGGREGATOR_CLOCK_DIFFERS',
      message: `the aggregator's clock says ${told}, this site's ${now}, and is not followed; set right the one that is wrong`,
      since: instantOf(sinceMs),
    });
  }
  if (isWallClockWrong(clock)) {
    const orConfirm =
      clock.jumpMs === null || clock.jumpMs < 0
        ? ''
        : ', or, where it is right and the machine stood still, run rollcall-site confirm-clock';
    found.push({
      code: 'CLOCK_WRONG',
      message: `this machine's clock is wrong; set it right${orConfirm}`,
      since: null,
    });
  }
  if (soft.notice !== null)
    found.push({ code: 'NOTICE', message: `${soft.notice.code}: ${soft.notice.message}`, since: soft.notice.at });
  return found.sort((a, b) => severity.indexOf(a.code) - severity.indexOf(b.code));
}
