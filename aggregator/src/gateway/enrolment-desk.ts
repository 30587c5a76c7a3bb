/** Enrolment as the HTTP route uses it: rate, reading, writing, a second look when somebody was quicker. Deciding is core/enrolment.ts. */
import type { Site } from '@rollcall/shared/api/site.ts';
import type { Chance, Clock } from '@rollcall/shared/domain/clock.ts';
import type { Instant } from '@rollcall/shared/domain/instant.ts';
import { type Outcome, RollcallError, refuse } from '@rollcall/shared/domain/problem.ts';
import type { Digest, PublicKey, Verifier } from '@rollcall/shared/ledger/crypto.ts';
import type { EnrolRefusalCode, EnrolRequest, EnrolResponse } from '@rollcall/shared/protocol/enrol.ts';
import type { Logger } from '@rollcall/shared/node/logger.ts';
import { decideEnrolment, type EnrolmentFacts, isEnrolmentSigned } from '../core/enrolment.ts';
import type { Store } from '../store/store.ts';
import { limitKey } from '../http/remote-address.ts';
import { AddressRate } from './admission.ts';

export type EnrolAnswer = Outcome<{ response: EnrolResponse }, EnrolRefusalCode | 'RATE_LIMITED'> & {
  retryAfterSeconds?: number;
};

export type EnrolmentDeskParts = {
  store: Pick<Store, 'sites' | 'keys'>;
  clock: Clock;
  chance: Chance;
  digest: Digest;
  verifier: Verifier;
  logger: Logger;
  aggregatorPublicKeys: readonly PublicKey[];
  enrolmentsPerMinuteMax: number;
};

/** Looks again this often when the token is used by others at the same time: a roll-out does. */
const attemptsMax = 20;

export class EnrolmentDesk {
  readonly #parts: EnrolmentDeskParts;
  readonly #rate: AddressRate;

  constructor(parts: EnrolmentDeskParts) {
    this.#parts = parts;
    this.#rate = new AddressRate(parts.enrolmentsPerMinuteMax);
  }

  /**
   * Enrols a site. `reset` is called with its identifier when something was written, so that a socket it still has ends.
   * @throws RollcallError when the store does not answer.
   */
  async enrol(request: EnrolRequest, remoteAddress: string, reset: (siteId: string) => void): Promise<EnrolAnswer> {
    const waitMs = await this.#rate.waitMs(limitKey(remoteAddress));
    if (waitMs > 0)
      return {
        ...refuse('RATE_LIMITED', 'too many enrolments from this address'),
        retryAfterSeconds: Math.ceil(waitMs / 1000),
      };
    const { clock, chance, verifier, store, logger } = this.#parts;
    if (!isEnrolmentSigned(request, verifier))
      return refuse('SIGNATURE_WRONG', 'the request is not signed by the key it brings');
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const decision = decideEnrolment(await this.#facts(request), request, clock.now(), chance);
      if (!decision.ok) return decision;
      const { site, plan, entryAt } = decision;
      if (plan === null) return this.#answer(site, entryAt);
      const applied = await store.sites.applyEnrolment(plan);
      if (applied.ok) {
        logger.info({ siteId: site.id, software: request.software, hostName: request.hostName }, 'a site enrolled');
        reset(site.id);
        return this.#answer(site, entryAt);
      }
      if (applied.code === 'NAME_TAKEN')
        return refuse('SITE_NAME_TAKEN', `the MSP has a site named ${site.name} already`, 'give the site another name');
    }
    throw new RollcallError('STORE_UNAVAILABLE', 'the enrolment token is used by too many at once', {
      retryable: true,
    });
  }

  async #facts({ token, publicKey }: EnrolRequest): Promise<EnrolmentFacts> {
    const { store, digest } = this.#parts;
    const view = await store.sites.enrolmentView(digest.sha256(token), publicKey);
    if (view === undefined) return undefined;
    const keys = view.site === undefined ? [] : await store.keys.keysOfSite(view.site.id);
    return { ...view, siteHasKey: keys.some(({ key }) => key.product === 'metered-agent') };
  }

  #answer({ id, name, timeZone, settings }: Site, entryAt: Instant): EnrolAnswer {
    const { aggregatorPublicKeys } = this.#parts;
    return {
      ok: true,
      response: {
        siteId: id,
        siteName: name,
        timeZone,
        aggregatorPublicKeys: [...aggregatorPublicKeys],
        settings,
        serverTime: entryAt,
      },
    };
  }
}
