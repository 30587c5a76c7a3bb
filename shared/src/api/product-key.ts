/** Product keys over HTTP. */
import { z } from 'zod';
import { ProductKeyId, SiteId } from '../domain/id.ts';
import { Instant } from '../domain/instant.ts';
import { Product } from '../domain/product.ts';
import { KeyState, KeyWish, PortalKeyState } from '../domain/product-key.ts';

export const ProductKey = z.object({
  id: ProductKeyId,
  siteId: SiteId,
  product: Product,
  /** Last five characters of the key's text. */
  keyHint: z.string(),
  /** What the portal wants; true at the site from its next call-home on. */
  wish: KeyWish,
  /** What the site last said in its ledger; null before its first word. */
  siteState: KeyState.nullable(),
  portalState: PortalKeyState,
  createdAt: Instant,
  /** The lease in force at the aggregator; null before the first call-home. */
  leaseIssuedAt: Instant.nullable(),
  leaseUntil: Instant.nullable(),
});
export type ProductKey = z.infer<typeof ProductKey>;

/** A key as it is answered once, right after it was made: with its text. */
export const NewProductKey = ProductKey.extend({ keyText: z.string() });
export type NewProductKey = z.infer<typeof NewProductKey>;

export const ProductKeyDraft = z.object({ siteId: SiteId, product: Product });
export type ProductKeyDraft = z.infer<typeof ProductKeyDraft>;
