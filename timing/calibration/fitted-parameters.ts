/** Which parameters of a topology are fitted, within what limits, and where the search begins. */
import { HlsimError } from '../../common/errors.ts';
import type { LinkSpec, TopologyFile } from '../topology/file.ts';
import type { Quantity } from '../topology/quantities.ts';

export interface FittedParameter {
  /** As the topology has it. */
  readonly name: string;
  readonly quantity: Quantity;
  /** Bytes a second, seconds, or a plain number; more than 0. */
  readonly start: number;
  readonly min: number;
  readonly max: number;
}

/** The letters of the alpha-beta-gamma model, and what they are on boxes. */
const ALIASES = ['alpha', 'beta', 'gamma'] as const;
type Alias = (typeof ALIASES)[number];

const LIMITS: Readonly<Record<Quantity, readonly [number, number]>> = {
  rate: [1e3, 1e15],
  time: [1e-12, 1e3],
  fraction: [1e-6, 1e6],
};
/** Where the file has 0, which no factor leads away from. */
const TIME_START = 1e-6;

/**
 * The parameters of these names: those of the file; `alpha` for the one latency among the links that are
 * `used`, `beta` for their one rate, `gamma` for the one rate of reductions.
 *
 * @throws HlsimError `HLSIM_USAGE` for a name that there is not, that could mean several, or that is not used
 */
export function fittedParameters(
  file: TopologyFile,
  names: readonly string[],
  used: ReadonlySet<string>,
): readonly FittedParameter[] {
  const found = names.map((name) => parameterOf(file, nameInFile(file, name, used), used));
  const twice = found.find(
    ({ name }, index) => found.findIndex((one) => one.name === name) < index,
  );
  if (twice === undefined) return found;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected each parameter once among ${names.join(', ')} but found ${twice.name} twice`,
  );
}

function parameterOf(file: TopologyFile, name: string, used: ReadonlySet<string>): FittedParameter {
  const value = used.has(name) ? file.parameters[name]?.value : undefined;
  if (value === undefined) {
    const why = Object.hasOwn(file.parameters, name)
      ? ', which no way between these cards has'
      : '';
    throw new HlsimError(
      'HLSIM_USAGE',
      `Expected parameters of ${file.name} that the points depend on, some of ${[...used].join(', ')}, but found ${JSON.stringify(name)}${why}`,
    );
  }
  const { quantity } = value;
  const [min, most] = LIMITS[quantity];
  const isEfficiency = linksOf(file).some(({ efficiency }) => efficiency === name);
  const max = isEfficiency ? 1 : most;
  const given = value.value === 0 && quantity === 'time' ? TIME_START : value.value;
  return { name, quantity, start: Math.min(max, Math.max(min, given)), min, max };
}

function nameInFile(file: TopologyFile, name: string, used: ReadonlySet<string>): string {
  const alias = ALIASES.find((one) => one === name);
  if (alias === undefined || Object.hasOwn(file.parameters, name)) return name;
  const meant = [...new Set(meaningsOf(file, alias))].filter((one) => used.has(one));
  const [only, ...others] = meant;
  if (only !== undefined && others.length === 0) return only;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected ${alias} to mean one parameter of ${file.name} but found ${meant.join(', ') || 'none'}: name it instead`,
  );
}

function meaningsOf(file: TopologyFile, alias: Alias): readonly string[] {
  switch (alias) {
    case 'alpha':
      return linksOf(file).map(({ latency }) => latency);
    case 'beta':
      return linksOf(file).map(({ rate }) => rate);
    case 'gamma':
      return Object.values(file.cards).map(({ reduce }) => reduce);
  }
}

function linksOf(file: TopologyFile): readonly LinkSpec[] {
  return [...Object.values(file.boxKinds).flatMap(({ links }) => links), ...file.links];
}
