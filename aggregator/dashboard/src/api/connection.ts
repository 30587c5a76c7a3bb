// The signed-in connection as the pages below it reach it: whose it is and how to ask. Made by console.tsx.
import type { Organisation } from '@rollcall/shared/api/organisation.ts';
import { createContext, useContext } from 'react';
import type { ApiClient } from './client.ts';

export type Connection = { client: ApiClient; organisation: Organisation };

export const ConnectionContext = createContext<Connection | null>(null);

export function useConnection(): Connection {
  const connection = useContext(ConnectionContext);
  if (connection === null) throw new Error('useConnection belongs below a ConnectionContext');
  return connection;
}
