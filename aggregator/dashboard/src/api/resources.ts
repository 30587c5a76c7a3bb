// What the pages read of the API: each resource with its path and its schema. How it is fetched is client.ts.
import { Account } from '@rollcall/shared/api/account.ts';
import { Invoice } from '@rollcall/shared/api/invoice.ts';
import { Me } from '@rollcall/shared/api/me.ts';
import { Organisation } from '@rollcall/shared/api/organisation.ts';
import { type Page, pageOf } from '@rollcall/shared/api/page.ts';
import { ReportRow } from '@rollcall/shared/api/report.ts';
import { SiteView } from '@rollcall/shared/api/site.ts';
import type { z } from 'zod';
import type { Answer, ApiClient } from './client.ts';

const root = '/api/v1';

/** A collection: where it lies, and what one row and one page of it are. */
export type Collection<Row> = { path: string; row: z.ZodType<Row>; page: z.ZodType<Page<Row>> };

const collection = <Row>(path: string, row: z.ZodType<Row>): Collection<Row> => ({
  path: `${root}/${path}`,
  row,
  page: pageOf(row),
});

export const sites = collection('sites', SiteView);
export const reports = collection('reports', ReportRow);
export const invoices = collection('invoices', Invoice);
export const accounts = collection('accounts', Account);
export const organisations = collection('organisations', Organisation);

export const readMe = (client: ApiClient, signal?: AbortSignal): Promise<Answer<Me>> =>
  client.get(`${root}/me`, Me, signal);

export function readPage<Row>(
  client: ApiClient,
  of: Collection<Row>,
  query: { limit: number; cursor: string | null },
  signal?: AbortSignal,
): Promise<Answer<Page<Row>>> {
  const search = new URLSearchParams({ limit: String(query.limit) });
  if (query.cursor !== null) search.set('cursor', query.cursor);
  return client.get(`${of.path}?${search}`, of.page, signal);
}

export const readOne = <Row>(client: ApiClient, of: Collection<Row>, id: string, signal?: AbortSignal) =>
  client.get(`${of.path}/${encodeURIComponent(id)}`, of.row, signal);

/** All reports the signed-in organisation may see, in one file. */
export const reportsCsvPath = `${reports.path}/csv`;

export type DocumentFormat = 'pdf' | 'csv';

export const invoiceDocumentPath = (id: string, format: DocumentFormat): string =>
  `${invoices.path}/${encodeURIComponent(id)}/${format}`;
