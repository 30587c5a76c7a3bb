/**
 * Canonical JSON (RFC 8785): one byte string per JSON value, so that a hash or a signature of it means the value.
 * Owns nothing but the form; hashing is `chain.ts`.
 */

/** Deepest nesting accepted; deeper input is refused rather than left to overflow the stack. */
export const jsonDepthMax = 64;

const loneSurrogate = /\p{Surrogate}/u;
const plainText = /^[\u0020\u0021\u0023-\u005b\u005d-\u007e]*$/;

/**
 * The canonical text of a value: names sorted by UTF-16 code units, no white space, numbers and strings as ECMAScript
 * writes them (RFC 8785, section 3.2).
 * @throws TypeError on what JSON cannot hold: `undefined`, NaN, infinities, lone surrogates, nesting past `jsonDepthMax`.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return writeString(value);
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`JSON cannot hold the number ${value}`);
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw new TypeError(`JSON cannot hold a value of type ${typeof value}`);
  }
  if (value === null) return 'null';
  if (depth >= jsonDepthMax) throw new TypeError(`JSON nested deeper than ${jsonDepthMax}`);
  if (Array.isArray(value)) {
    let text = '[';
    for (let i = 0; i < value.length; i++) text += (i === 0 ? '' : ',') + write(value[i], depth + 1);
    return `${text}]`;
  }
  const record = value as Record<string, unknown>;
  let text = '{';
  for (const name of sorted(Object.keys(record))) {
    if (text.length > 1) text += ',';
    text += `${writeString(name)}:${write(record[name], depth + 1)}`;
  }
  return `${text}}`;
}

/** The default order of sort() is by UTF-16 code units, which is what RFC 8785, section 3.2.3 asks for. Most come in it already. */
function sorted(names: string[]): string[] {
  for (let index = 1; index < names.length; index++)
    if ((names[index - 1] as string) > (names[index] as string)) return names.sort();
  return names;
}

function writeString(text: string): string {
  if (plainText.test(text)) return `"${text}"`;
  if (loneSurrogate.test(text)) throw new TypeError('JSON text holds a lone surrogate');
  return JSON.stringify(text);
}
