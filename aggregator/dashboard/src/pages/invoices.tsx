// The invoices and notes in which the signed-in organisation sells or buys.
import type { Invoice, InvoiceKind } from '@rollcall/shared/api/invoice.ts';
import { displayMinor } from '@rollcall/shared/domain/money.ts';
import { useConnection } from '../api/connection.ts';
import { type DocumentFormat, invoiceDocumentPath, invoices } from '../api/resources.ts';
import { useRowList } from '../api/row-list.ts';
import { type DownloadableDocument, DocumentDownloads } from '../components/document-downloads.tsx';
import { ListView } from '../components/list-view.tsx';
import { type Column, Nothing, TwoLines } from '../components/row-table.tsx';
import { StandingTag } from '../components/standing-tag.tsx';
import { language } from '../format/language.ts';
import { monthName } from '../format/month-name.ts';
import { calendarDay } from '../format/time-text.ts';
import { documentFileName } from './document-file-name.ts';

const kinds: Record<InvoiceKind, string> = {
  invoice: 'Invoice',
  'credit-note': 'Credit note',
  'debit-note': 'Debit note',
};

export function InvoicesPage() {
  const { organisation } = useConnection();
  const list = useRowList(invoices);

  const columns: Column<Invoice>[] = [
    {
      title: 'Number',
      compact: true,
      cell: (invoice) => (
        <TwoLines
          first={invoice.number ?? 'Draft'}
          second={
            invoice.refersToNumber === null
              ? kinds[invoice.kind]
              : `${kinds[invoice.kind]} to ${invoice.refersToNumber}`
          }
        />
      ),
    },
    {
      title: 'Buyer',
      wide: true,
      cell: ({ buyerName, buyerId, sellerName, sellerId }) => (
        <TwoLines
          first={buyerId === organisation.id ? `${buyerName} (you)` : buyerName}
          second={sellerId !== organisation.id && `from ${sellerName}`}
        />
      ),
    },
    { title: 'Month', compact: true, cell: ({ month }) => monthName(month) },
    { title: 'Status', compact: true, cell: (invoice) => <InvoiceState invoice={invoice} /> },
    {
      title: 'Gross',
      align: 'end',
      cell: ({ grossMinor, netMinor, currency }) => (
        <TwoLines
          first={<strong>{displayMinor(grossMinor, currency, language)}</strong>}
          second={`net ${displayMinor(netMinor, currency, language)}`}
        />
      ),
    },
    {
      title: 'Due',
      compact: true,
      cell: ({ dueOn }) => (dueOn === null ? <Nothing why="No due date" /> : calendarDay(dueOn)),
    },
    {
      title: 'Documents',
      align: 'end',
      wide: true,
      cell: (invoice) => <DocumentDownloads documents={documentsOf(invoice)} />,
    },
  ];

  return (
    <ListView
      title="Invoices"
      about="Invoices, credit notes and debit notes, the newest first."
      list={list}
      columns={columns}
      keyOf={({ id }) => id}
      empty={{
        title: 'No invoices yet',
        next:
          organisation.kind === 'msp' ? (
            'They come when your distributor closes a month. Until then, the reports show what it will be about.'
          ) : (
            <>
              Make a price agreement with a buyer, then close a month that is over. The invoice is made from the reports
              of the sites.
              <code>rollcall agreement create --help</code>
              <code>rollcall close YYYY-MM</code>
            </>
          ),
      }}
    />
  );
}

const formats: readonly DocumentFormat[] = ['pdf', 'csv'];

const documentsOf = (invoice: Invoice): DownloadableDocument[] =>
  formats.map((format) => ({
    format: format.toUpperCase(),
    title: invoice.number ?? `the draft for ${invoice.buyerName}`,
    path: invoiceDocumentPath(invoice.id, format),
    fileName: documentFileName(invoice, format),
  }));

function InvoiceState({ invoice: { state, missingReports, missingUnbilled } }: { invoice: Invoice }) {
  if (state === 'draft')
    return (
      <StandingTag
        tone="warn"
        label={missingReports === 0 ? 'Not yet final' : `Waits for ${reportsText(missingReports)}`}
      />
    );
  const tag = <StandingTag tone="good" label="Finalised" />;
  if (missingReports === 0) return tag;
  const estimated = `${missingReports - missingUnbilled} estimated`;
  return (
    <TwoLines first={tag} second={missingUnbilled === 0 ? estimated : `without ${reportsText(missingUnbilled)}`} />
  );
}

const reportsText = (count: number): string => (count === 1 ? '1 report' : `${count} reports`);
