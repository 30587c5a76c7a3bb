/** Reads a list page by page to its end, for files that hold all of it; and hands a file out piece by piece. */
import { type Page, type PageQuery, pageLimitMax } from '@rollcall/shared/api/page.ts';

/** The pages of a list in order, each fetched when it is asked for. */
export async function* pagesOf<Row>(fetchPage: (page: PageQuery) => Promise<Page<Row>>): AsyncGenerator<Row[]> {
  let cursor: string | undefined;
  do {
    const { rows, nextCursor }: Page<Row> = await fetchPage({ limit: pageLimitMax, cursor });
    yield rows;
    cursor = nextCursor ?? undefined;
  } while (cursor !== undefined);
}

/** All pieces as one text; undefined when the list has more than `rowsMax` rows. */
export async function wholeText<Row>(
  pages: AsyncIterable<Row[]>,
  rowsMax: number,
  piecesOf: (pages: AsyncIterable<Row[]>) => AsyncIterable<string>,
): Promise<string | undefined> {
  let rows = 0;
  async function* counted(): AsyncGenerator<Row[]> {
    for await (const page of pages) {
      rows += page.length;
      if (rows > rowsMax) return;
      yield page;
    }
  }
  let text = '';
  for await (const piece of piecesOf(counted())) text += piece;
  return rows > rowsMax ? undefined : text;
}

/** Pieces of text as the body of a response, made as fast as the reader takes them. */
export function streamOf(pieces: AsyncGenerator<string>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
