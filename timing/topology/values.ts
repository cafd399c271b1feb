/** The numbers of a topology, with those that a caller sets in place of the file's. */
import { defined } from '../../common/assert.ts';
import { HlsimError } from '../../common/errors.ts';
import type { Parameter } from '../network.ts';
import type { TopologyFile } from './file.ts';
import { formatRate, formatTime, QUANTITY_FORMS, type Quantity } from './quantities.ts';

/** Bytes a second, seconds or a plain number, by the parameter's name; or with where it is from. */
export type ParameterOverrides = Readonly<
  Record<
    string,
    | number
    | { readonly value: number; readonly source: string; readonly status: Parameter['status'] }
  >
>;

/** Of products of parameters. */
const ROUNDING = 1e-12;

/** Looks parameters up, and remembers which. */
export class ParameterValues {
  readonly #file: TopologyFile;
  readonly #overrides: ParameterOverrides;

  /** @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE` for an override of what there is not, or of no number */
  constructor(file: TopologyFile, overrides: ParameterOverrides) {
    this.#file = file;
    this.#overrides = overrides;
    for (const [name, given] of Object.entries(overrides)) {
      if (!Object.hasOwn(file.parameters, name)) {
        const names = Object.keys(file.parameters).slice(0, 30).join(', ');
        throw impossible(
          `Expected one of ${names} but found the parameter ${JSON.stringify(name)}`,
        );
      }
      const value = typeof given === 'number' ? given : given.value;
      if (!Number.isFinite(value) || value < 0) {
        throw impossible(`Expected ${name} to be a number of at least 0 but found ${value}`);
      }
    }
  }

  /** More than 0. */
  rate(name: string): number {
    return this.#positive(name, 'rate', Number.POSITIVE_INFINITY);
  }

  /** Seconds, 0 or more. */
  time(name: string): number {
    return this.#value(name);
  }

  /** More than 0, at most 1; what is above by rounding alone is 1. */
  efficiency(name: string | undefined): number {
    return name === undefined ? 1 : Math.min(1, this.#positive(name, 'fraction', 1));
  }

  /** More than 0, not always whole. */
  count(name: string): number {
    return this.#positive(name, 'fraction', Number.POSITIVE_INFINITY);
  }

  /** More than 0; 1 is everything. */
  taper(name: string): number {
    return this.#positive(name, 'fraction', Number.POSITIVE_INFINITY);
  }

  parameter(name: string): Parameter {
    const { value, source, status } = defined(this.#file.parameters[name], `parameter ${name}`);
    const given = Object.hasOwn(this.#overrides, name) ? this.#overrides[name] : undefined;
    if (given === undefined) return { name, text: value.text, source, status };
    const number = typeof given === 'number' ? given : given.value;
    const text = textOf(number, value.quantity);
    if (typeof given !== 'number') {
      return { name, text, source: given.source, status: given.status };
    }
    return { name, text, source: `set in place of ${value.text}`, status: 'assumed' };
  }

  #value(name: string): number {
    const given = Object.hasOwn(this.#overrides, name) ? this.#overrides[name] : undefined;
    if (given !== undefined) return typeof given === 'number' ? given : given.value;
    return defined(this.#file.parameters[name], `parameter ${name}`).value.value;
  }

  #positive(name: string, quantity: Quantity, most: number): number {
    const value = this.#value(name);
    if (value > 0 && value <= most * (1 + ROUNDING)) return value;
    const limit = most === 1 ? ', more than 0 and at most 1' : ', more than 0';
    throw impossible(
      `Expected the parameter ${name} of ${this.#file.name} to be ${QUANTITY_FORMS[quantity]}${limit} but found ${this.parameter(name).text}`,
    );
  }
}

function textOf(value: number, quantity: Quantity): string {
  if (quantity === 'rate') return formatRate(value);
  return quantity === 'time' ? formatTime(value) : `${value}`;
}

export function impossible(
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
): HlsimError {
  return new HlsimError('HLSIM_TOPOLOGY_IMPOSSIBLE', message, { fields });
}
