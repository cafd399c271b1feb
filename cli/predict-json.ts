/** A case and its results as plain data, for `--json` and for the files of an experiment. */

import { type ExperimentCase, wordOfModel } from '../timing/experiment/experiment.ts';
import { SLICE_BYTES_DEFAULT, type SweepRow } from '../timing/sweep.ts';
import type { CaseResult } from './predict-run.ts';
import { bandwidthsOf } from './predict-table.ts';

/** Without the time of day or anything else that differs from run to run: the same case gives the same data. */
export function caseJson({ settings, sections, explanation }: CaseResult): object {
  const { models, sliceBytes = SLICE_BYTES_DEFAULT, ...asked } = settings;
  return {
    clock: 'virtual',
    ...asked,
    models: models.map(wordOfModel),
    sliceBytes,
    networks: sections.map(({ network, rows }) => ({
      name: network.name,
      ranks: network.nranks,
      ...network.topology,
      parameters: network.parameters,
      assumed: network.parameters
        .filter(({ status }) => status === 'assumed')
        .map(({ name }) => name),
      results: rows.map((row) => rowJson(row, settings)),
    })),
    ...(explanation === undefined ? {} : { explanation }),
  };
}

function rowJson(row: SweepRow, settings: ExperimentCase): object {
  const { outcome, model, bound, nranks: ranks, ...rest } = row;
  const found = bandwidthsOf(row, settings);
  const { boxes, bytes, count, algorithm, channels, chunks, sliceBytes, fraction, best } = rest;
  return {
    ...{ ranks, boxes, bytes, count, model: wordOfModel(model), algorithm, channels },
    ...(chunks === undefined ? {} : { chunks }),
    sliceBytes,
    ...(found ?? {}),
    bound,
    fraction: fraction ?? null,
    best,
    proof: rest.proof ?? null,
    ...(rest.percentiles === undefined ? {} : { percentiles: rest.percentiles }),
    ...(outcome.kind === 'predicted'
      ? { simulatedRanks: outcome.simulatedRanks, messages: outcome.messages }
      : { noTime: outcome }),
  };
}
