/**
 * The sentences under the lines of a document. They are true at the instant it was made and stay so, since a finalised
 * document prints the same for ever: what had not arrived by then is told as such.
 */
import type { Invoice } from '@rollcall/shared/api/invoice.ts';
import { displayMinor } from '@rollcall/shared/domain/money.ts';
import type { InvoiceBody } from './invoice-body.ts';
import type { InvoiceDocument } from './invoice-document.ts';

export function notesOf({ invoice, timeZone, missingReportPolicy, body }: InvoiceDocument): string[] {
  return [
    ...(invoice.state === 'finalised' ? [paymentText(invoice)] : []),
    ...(body.level === 'lines'
      ? []
      : [`This document sums up ${countText(body.lineCount)} lines; the CSV of the same document holds every one.`]),
    ...missingTexts(invoice, missingReportPolicy, body),
    ...(body.hasWithdrawn
      ? ['Lines of sites that do not belong to the month any more take back what was billed for them.']
      : []),
    `Agents are the highest number deployed at the same time in the month, per site and kind. Dates are those of ${timeZone}.`,
  ];
}

function paymentText({ grossMinor, currency, dueOn, kind }: Invoice): string {
  if (grossMinor === 0) return 'Nothing is to be paid.';
  if (kind === 'credit-note') return `${displayMinor(-grossMinor, currency, 'en')} are credited to you.`;
  return `Please pay ${displayMinor(grossMinor, currency, 'en')} by ${dueOn}.`;
}

/** Sites without a report are estimated here, were estimated before, or are not billed at all; each is told for what it is. */
function missingTexts(
  { state, missingReports, missingUnbilled }: Invoice,
  policy: InvoiceDocument['missingReportPolicy'],
  { estimatedSites }: Pick<InvoiceBody, 'estimatedSites'>,
): string[] {
  if (state === 'draft')
    return missingReports === 0
      ? []
      : [`This draft waits for ${reportsOf(missingReports)}. Nothing is billed for ${them(missingReports)} yet.`];
  const estimatedBefore = missingReports - missingUnbilled - estimatedSites;
  return [
    ...(estimatedSites === 0
      ? []
      : [
          'est.: billed by the count of the seller’s system, because the report of the site had not arrived when this document was made. Once it arrives, any difference is settled by a credit or debit note.',
        ]),
    ...(estimatedBefore <= 0
      ? []
      : [
          `${capital(reportsOf(estimatedBefore))} billed by estimate before had not arrived when this document was made; any difference will be settled by a note.`,
        ]),
    ...(missingUnbilled === 0
      ? []
      : [
          `${capital(reportsOf(missingUnbilled))} had not arrived when this document was made, and nothing is billed for ${them(missingUnbilled)} so far. ${laterText(policy, missingUnbilled)}`,
        ]),
  ];
}

/** Under `estimate` the next close need not wait for the report. */
function laterText(policy: InvoiceDocument['missingReportPolicy'], sites: number): string {
  if (policy === 'estimate') return 'A later note does, by the report or by an estimate.';
  return `A later note does, once ${sites === 1 ? 'it arrives' : 'they arrive'}.`;
}

const reportsOf = (sites: number): string =>
  sites === 1 ? 'the report of 1 site' : `the reports of ${countText(sites)} sites`;
const them = (sites: number): string => (sites === 1 ? 'it' : 'them');
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const countText = (count: number): string => new Intl.NumberFormat('en').format(count);
