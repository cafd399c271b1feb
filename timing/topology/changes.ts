/** What-if: slow cards, slow links, broken links. */

import type { Rank } from '../../collectives/schedule.ts';
import { HlsimError } from '../../common/errors.ts';

/**
 * - `straggler`: everything that the card of `rank` does itself takes `slow` times as long; at least 1.
 * - `degrade`: links run at `rate` of their rate; more than 0, at most 1.
 * - `fail`: links carry nothing. Messages go another way where there is one.
 *
 * `link` is a kind of links (`scaleOut`), or a name with `*` for any letters (`box0/card3>*`). `<>` stands
 * for both directions, and `/port0` behind a name for one of its parallel cables.
 */
export type NetworkChange =
  | { readonly kind: 'straggler'; readonly rank: Rank; readonly slow: number }
  | { readonly kind: 'degrade'; readonly link: string; readonly rate: number }
  | { readonly kind: 'fail'; readonly link: string };

/** A link as patterns see it. */
export interface NamedLink {
  readonly kind: string;
  readonly name: string;
  readonly ports: number;
}

const PATTERN_LENGTH_MAX = 200;

/** Finds links. */
export class LinkPattern {
  /** The one cable that is meant; `undefined`: all. */
  readonly port: number | undefined;
  readonly #kind: string;
  readonly #names: readonly Wildcards[];

  /** @throws HlsimError `HLSIM_USAGE` for a pattern that is empty or too long */
  constructor(pattern: string) {
    if (pattern.length === 0 || pattern.length > PATTERN_LENGTH_MAX) {
      throw new HlsimError(
        'HLSIM_USAGE',
        `Expected the name of a link, 1 to ${PATTERN_LENGTH_MAX} letters, but found ${pattern.length} of them`,
      );
    }
    const [, name = pattern, port] = /^(.*?)(?:\/port(\d+))?$/.exec(pattern) ?? [];
    this.port = port === undefined ? undefined : Number(port);
    this.#kind = name;
    this.#names = bothDirections(name).map((one) => new Wildcards(one));
  }

  matches({ kind, name, ports }: NamedLink): boolean {
    if (this.port !== undefined && this.port >= ports) return false;
    return kind === this.#kind || this.#names.some((one) => one.matches(name));
  }
}

/** `box0/card1<>card2` -> `box0/card1>card2` and `box0/card2>card1`; half-duplex links are called so too. */
function bothDirections(name: string): string[] {
  const match = /^(.*\/)?([^/]*)<>(.*)$/.exec(name);
  if (match === null) return [name];
  const [, box = '', one = '', other = ''] = match;
  return [name, `${box}${one}>${other}`, `${box}${other}>${one}`];
}

/** `*` is any number of letters. Without regular expressions: patterns of strangers take no time. */
class Wildcards {
  readonly #parts: readonly string[];

  constructor(pattern: string) {
    this.#parts = pattern.split('*');
  }

  matches(name: string): boolean {
    const [first = '', ...rest] = this.#parts;
    const last = rest.pop();
    if (last === undefined) return name === first;
    if (!name.startsWith(first) || !name.endsWith(last)) return false;
    const end = name.length - last.length;
    let from = first.length;
    for (const part of rest) {
      const at = name.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return from <= end;
  }
}
