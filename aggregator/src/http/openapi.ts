/** The OpenAPI 3.1 document: made from the schemas that validate. Operations register themselves (operation.ts). */
import { zodToOpenAPIRegistry } from '@asteasolutions/zod-to-openapi';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { Account, AccountDraft } from '@rollcall/shared/api/account.ts';
import { Agreement, AgreementDraft } from '@rollcall/shared/api/agreement.ts';
import {
  ClosePreview,
  CloseRequest,
  CloseResult,
  DueClose,
  Invoice,
  InvoiceDetail,
  InvoiceLine,
  LineEvidence,
} from '@rollcall/shared/api/invoice.ts';
import { HeldEntry } from '@rollcall/shared/api/ledger.ts';
import { Organisation, OrganisationDraft } from '@rollcall/shared/api/organisation.ts';
import { Problem } from '@rollcall/shared/api/problem.ts';
import { NewProductKey, ProductKey, ProductKeyDraft } from '@rollcall/shared/api/product-key.ts';
import { ReportDetail, ReportRevision, ReportRow } from '@rollcall/shared/api/report.ts';
import { Deployment, Finding, SiteChange, SiteDraft, SiteView } from '@rollcall/shared/api/site.ts';
import {
  ApiToken,
  ApiTokenDraft,
  EnrolmentToken,
  EnrolmentTokenDraft,
  NewApiToken,
  NewEnrolmentToken,
} from '@rollcall/shared/api/token.ts';
import { Currency } from '@rollcall/shared/domain/currency.ts';
import { TimeZone } from '@rollcall/shared/domain/time-zone.ts';
import { DeployedAgentsReport } from '@rollcall/shared/ledger/report.ts';
import { EnrolRequest, EnrolResponse } from '@rollcall/shared/protocol/enrol.ts';
import type { z } from 'zod';
import type { AppEnv } from './context.ts';

/** Schemas that the document names; all others stand where they are used. */
const named: Record<string, z.ZodType> = {
  Account,
  AccountDraft,
  Agreement,
  AgreementDraft,
  ApiToken,
  ApiTokenDraft,
  ClosePreview,
  CloseRequest,
  CloseResult,
  Currency,
  DeployedAgentsReport,
  Deployment,
  DueClose,
  EnrolmentToken,
  EnrolmentTokenDraft,
  EnrolRequest,
  EnrolResponse,
  Finding,
  HeldEntry,
  Invoice,
  InvoiceDetail,
  InvoiceLine,
  LineEvidence,
  NewApiToken,
  NewEnrolmentToken,
  NewProductKey,
  Organisation,
  OrganisationDraft,
  Problem,
  ProductKey,
  ProductKeyDraft,
  ReportDetail,
  ReportRevision,
  ReportRow,
  SiteChange,
  SiteDraft,
  SiteView,
  TimeZone,
};
/** What a schema checks in code, and its published form cannot say. */
const descriptions: Record<string, string> = {
  Currency: 'ISO 4217, list one: a currency whose amounts have a minor unit.',
  TimeZone:
    'A time zone of the IANA database in its usual spelling, such as Europe/Rome, or UTC; offsets such as +02:00 are refused.',
  EnrolmentTokenDraft: 'Exactly one of `siteId` and `accountId`; with `siteId`, `usesMax` is 1.',
};
// Through the registry, not by `.openapi()`: the schemas are shared with the browser and know nothing of OpenAPI.
for (const [refId, schema] of Object.entries(named)) {
  const description = descriptions[refId];
  zodToOpenAPIRegistry.add(schema, { _internal: { refId }, ...(description === undefined ? {} : { description }) });
}

const description = `Administration of organisations, accounts, sites and keys, and the way from reports to invoices.

Sign in with \`Authorization: Bearer rc_…\`. A token acts for one organisation and sees its branch of the tenant tree; what lies elsewhere
answers 404. Problems are RFC 9457 documents with a stable \`code\`. Lists come in pages: give \`nextCursor\` back as \`cursor\`.
Amounts of money are integers in minor units of the currency beside them; instants are UTC with milliseconds.`;

/** The document of everything that was registered on the app. */
export function openApiDocument(app: OpenAPIHono<AppEnv>, version: string, publicUrl: string): object {
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Rollcall',
      version,
      description,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: publicUrl }],
  });
}
