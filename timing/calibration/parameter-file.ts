/**
 * Parameter files: what a calibration found, in YAML, to be laid over a topology.
 *
 *     topology: hls2
 *     parameters:
 *       scaleUp.efficiency: {value: 0.9836, source: calibrated from gaudi2.csv, status: derived}
 */
import { stringify } from 'yaml';
import { z } from 'zod';
import { readYaml } from '../experiment/read-yaml.ts';
import { parameterSchema, type TopologyFile } from '../topology/file.ts';
import { QUANTITY_FORMS, type Quantity } from '../topology/quantities.ts';
import type { ParameterOverrides } from '../topology/values.ts';
import type { Accuracy } from './accuracy.ts';

/** Enough that a time predicted with the file is the one predicted with the fit, to what anybody reads. */
const DIGITS = 8;
const PARAMETERS_MAX = 1000;

const text = (what: string) => z.string({ error: what }).min(1, what).max(1000, what);

const schema = z.strictObject(
  {
    topology: text('the name of a topology'),
    model: text('the name of a model').optional(),
    /** For people. */
    accuracy: z.record(z.string(), z.unknown()).optional(),
    parameters: z
      .record(z.string(), parameterSchema, { error: 'parameters by name' })
      .refine((entries) => Object.keys(entries).length <= PARAMETERS_MAX, {
        error: `at most ${PARAMETERS_MAX} parameters`,
      }),
  },
  { error: 'the fields topology, model, accuracy, parameters' },
);

/**
 * The parameters of a file, for `networkOf`.
 *
 * @throws HlsimError `HLSIM_CONFIG` for the first thing that is wrong, with its line: also a parameter that
 * `topology` has not, or has as another kind of quantity
 */
export function readParameterFile(
  content: string,
  fileName: string,
  topology: TopologyFile,
): ParameterOverrides {
  const { value, refuse } = readYaml(schema, {
    text: content,
    what: 'a parameter file',
    fileName,
    code: 'HLSIM_CONFIG',
  });
  const overrides: Record<string, ParameterOverrides[string]> = {};
  for (const [name, given] of Object.entries(value.parameters)) {
    const own = Object.hasOwn(topology.parameters, name) ? topology.parameters[name] : undefined;
    if (own === undefined) {
      const names = Object.keys(topology.parameters).join(', ');
      return refuse(
        ['parameters', name],
        `to be a parameter of ${topology.name}, one of ${names}, but it has none of this name`,
      );
    }
    if (own.value.quantity !== given.value.quantity) {
      return refuse(
        ['parameters', name, 'value'],
        `to be ${QUANTITY_FORMS[own.value.quantity]}, as in ${topology.name}, but found ${given.value.text}`,
      );
    }
    overrides[name] = { value: given.value.value, source: given.source, status: given.status };
  }
  return overrides;
}

/** The topology with these numbers as its own. */
export function withParameters(
  topology: TopologyFile,
  overrides: ReturnType<typeof readParameterFile>,
): TopologyFile {
  const parameters = { ...topology.parameters };
  for (const [name, given] of Object.entries(overrides)) {
    const own = parameters[name];
    if (own === undefined || typeof given === 'number') continue;
    const { quantity } = own.value;
    const text = String(quantityText(quantity, given.value));
    parameters[name] = { ...given, value: { text, quantity, value: given.value } };
  }
  return { ...topology, parameters };
}

export interface ParameterFileInit {
  readonly topology: string;
  readonly model: string;
  /** Completes `calibrated from`. */
  readonly pointsFile: string;
  readonly fitted: readonly {
    readonly name: string;
    readonly quantity: Quantity;
    readonly value: number;
    readonly isDetermined: boolean;
  }[];
  /** On the held-out points; absent if there are none. */
  readonly accuracy?: Accuracy | undefined;
}

/** What `readParameterFile` reads. */
export function writeParameterFile(init: ParameterFileInit): string {
  const { topology, model, pointsFile, fitted, accuracy } = init;
  const source = `calibrated from ${pointsFile}, model ${model}`;
  const parameters = Object.fromEntries(
    fitted.map(({ name, quantity, value, isDetermined }) => [
      name,
      {
        value: quantityText(quantity, value),
        source: isDetermined ? source : `${source}: hardly any time there depends on it`,
        status: isDetermined ? 'derived' : 'assumed',
      },
    ]),
  );
  const heldOut =
    accuracy === undefined
      ? {}
      : {
          accuracy: {
            of: 'the absolute relative errors of the points that were held out',
            points: accuracy.points,
            median: rounded(accuracy.median, 4),
            mean: rounded(accuracy.mean, 4),
            max: rounded(accuracy.max, 4),
          },
        };
  return stringify({ topology, model, ...heldOut, parameters }, { lineWidth: 0 });
}

/** With enough digits to be read again: `37.5GB/s`, `12.25us`, `0.9836`. */
export function quantityText(quantity: Quantity, value: number, digits = DIGITS): string | number {
  switch (quantity) {
    case 'rate':
      return `${rounded(value / 1e9, digits)}GB/s`;
    case 'time':
      return `${rounded(value * 1e6, digits)}us`;
    case 'fraction':
      return rounded(value, digits);
  }
}

function rounded(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}
