// Documents to save. Fetched with the token in the header: an address that carries it would end up in histories and logs.
import { Button } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../api/client.ts';
import { useConnection } from '../api/connection.ts';
import classes from './document-downloads.module.css';
import { DownloadIcon } from './icon.tsx';

export type DownloadableDocument = {
  /** On the button, such as "PDF". */
  format: string;
  /** What it is, for those who cannot see the row it stands in. */
  title: string;
  path: string;
  /** What the file is called where the server does not say. */
  fileName: string;
};

export function DocumentDownloads({ documents }: { documents: readonly DownloadableDocument[] }) {
  const { client } = useConnection();
  const [fetching, setFetching] = useState<string | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);

  const download = async ({ path, fileName }: DownloadableDocument): Promise<void> => {
    setFetching(path);
    setFailure(null);
    try {
      const document = await client.document(path);
      save(document.content, document.fileName ?? fileName);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setFailure(error);
    } finally {
      setFetching(null);
    }
  };

  return (
    <span className={classes.documents}>
      <span className={classes.buttons}>
        {documents.map((document) => (
          <Button
            key={document.path}
            variant="light"
            size="compact-sm"
            leftSection={<DownloadIcon />}
            loading={fetching === document.path}
            disabled={fetching !== null && fetching !== document.path}
            aria-label={`Download ${document.title} as ${document.format}`}
            onClick={() => void download(document)}
          >
            {document.format}
          </Button>
        ))}
      </span>
      {failure && (
        <span className={classes.failure} role="alert">
          Not downloaded: {failure.message} {failure.hint}
        </span>
      )}
    </span>
  );
}

function save(content: Blob, fileName: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = fileName;
  link.click();
  // The download took hold of the content when the link was followed.
  URL.revokeObjectURL(url);
}
