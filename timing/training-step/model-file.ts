/** Model files, YAML, with the line of whatever is wrong. The files in examples/models show all fields. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { ELEMENT_TYPES, type ElementType } from '../../collectives/arithmetic.ts';
import { MiB, parseSize } from '../../common/bytes.ts';
import { quantityText } from '../calibration/parameter-file.ts';
import { readYaml } from '../experiment/read-yaml.ts';
import { parseQuantity } from '../topology/quantities.ts';
import type { TrainingModel } from './training-model.ts';

const LAYERS_MAX = 100_000;
/** A thousand times the largest models. */
const PARAMETERS_MAX = 1e15;
/** PyTorch's own (`DistributedDataParallel`, `bucket_cap_mb`). */
export const BUCKET_BYTES_DEFAULT = 25 * MiB;

const TIME = 'a time such as 1.5ms or 700us';
const time = z.union([z.string(), z.number()], { error: TIME }).transform((given, context) => {
  const read = parseQuantity(String(given));
  if (read?.quantity === 'time') return read.value;
  context.addIssue({ code: 'custom', message: TIME });
  return z.NEVER;
});

const SIZE = 'a size such as 256K, 4M or 25M, at least 1 byte';
const size = z.union([z.string(), z.number()], { error: SIZE }).transform((given, context) => {
  const bytes = parseSize(String(given));
  if (bytes !== undefined && bytes >= 1) return bytes;
  context.addIssue({ code: 'custom', message: SIZE });
  return z.NEVER;
});

const OVERLAP = 'on or off';
const overlap = z
  .union([z.enum(['on', 'off']), z.boolean()], { error: OVERLAP })
  .transform((given) => given === true || given === 'on')
  .default(true);

const COUNT = `a whole number from 0 to ${PARAMETERS_MAX}`;
const count = z.number({ error: COUNT }).int(COUNT).min(0, COUNT).max(PARAMETERS_MAX, COUNT);
const text = (what: string) => z.string({ error: what }).min(1, what).max(1000, what);

const types = Object.keys(ELEMENT_TYPES) as [ElementType, ...ElementType[]];

const layer = z.strictObject(
  {
    name: text('a name').optional(),
    parameters: count,
    forward: time,
    backward: time,
    overlap,
    repeat: z
      .number({ error: 'a whole number of at least 1' })
      .int('a whole number of at least 1')
      .min(1, 'a whole number of at least 1')
      .max(LAYERS_MAX, `a whole number of at most ${LAYERS_MAX}`)
      .default(1),
  },
  { error: 'the fields name, parameters, forward, backward, overlap, repeat' },
);

const schema = z.strictObject(
  {
    name: text('a name'),
    description: text('a text').optional(),
    source: text('a text that says where the times are from').optional(),
    elementType: z.enum(types, { error: `one of ${types.join(', ')}` }).default('float32'),
    bucketBytes: size.default(BUCKET_BYTES_DEFAULT),
    overlap,
    metrics: count.default(0),
    update: time.default(0),
    layers: z
      .array(layer, { error: 'a list of layers' })
      .min(1, 'a list of at least one layer')
      .max(LAYERS_MAX, `a list of at most ${LAYERS_MAX} layers`),
  },
  { error: 'the fields name, elementType, bucketBytes, overlap, metrics, update, layers' },
);

/** @throws HlsimError `HLSIM_CONFIG` for the first thing that is wrong, with its line */
export function readTrainingModel(content: string, fileName: string): TrainingModel {
  const { value, refuse } = readYaml(schema, {
    text: content,
    what: 'a model',
    fileName,
    code: 'HLSIM_CONFIG',
  });
  const { name, elementType, bucketBytes, metrics, update } = value;
  const all = value.layers.reduce((sum, { repeat }) => sum + repeat, 0);
  if (all > LAYERS_MAX) {
    refuse(['layers'], `to have at most ${LAYERS_MAX} layers, repeated ones too, but found ${all}`);
  }
  const layers = value.layers.flatMap(({ repeat, forward, backward, ...given }, index) => {
    const own = given.name ?? `layer${index}`;
    const { parameters } = given;
    const times = { forwardSeconds: forward, backwardSeconds: backward, overlap: given.overlap };
    return Array.from({ length: repeat }, (_, copy) => ({
      name: repeat === 1 ? own : `${own}.${copy}`,
      parameters,
      ...times,
    }));
  });
  if (layers.every(({ parameters }) => parameters === 0)) {
    refuse(['layers'], 'to have parameters, which are what is summed, but found none');
  }
  return {
    name,
    elementType,
    layers,
    metrics,
    updateSeconds: update,
    bucketBytes,
    overlap: value.overlap,
  };
}

/** What `readTrainingModel` reads; `source` says where the times are from. */
export function writeTrainingModel(model: TrainingModel, source: string): string {
  const { name, elementType, bucketBytes, overlap, metrics, updateSeconds } = model;
  const timeOf = (seconds: number) => quantityText('time', seconds, 6);
  const layers = model.layers.map((own) => ({
    name: own.name,
    parameters: own.parameters,
    forward: timeOf(own.forwardSeconds),
    backward: timeOf(own.backwardSeconds),
    ...(own.overlap ? {} : { overlap: false }),
  }));
  const update = timeOf(updateSeconds);
  const fields = { name, source, elementType, bucketBytes, overlap, metrics, update, layers };
  return stringify(fields, { lineWidth: 0 });
}
