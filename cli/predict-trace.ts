/** What happens in one predicted run, as a Perfetto trace. */
import { formatBytes } from '../common/bytes.ts';
import { predict } from '../timing/engine/predict.ts';
import type { ExperimentCase } from '../timing/experiment/experiment.ts';
import { perfettoTrace, SpanWindow } from '../timing/export/perfetto.ts';
import type { PredictionRequest } from '../timing/prediction.ts';
import type { SweepRow } from '../timing/sweep.ts';

/** Predicts once more, and takes down what happens. */
export function traceOf(
  request: PredictionRequest,
  { algorithm, bytes, model }: SweepRow,
  { collective }: ExperimentCase,
): string {
  const window = new SpanWindow();
  predict({ ...request, record: window.record });
  const title = `${algorithm} ${collective} of ${formatBytes(bytes)}`;
  const { network } = request;
  const trace = { network, model, title, omitted: window.omitted };
  return [...perfettoTrace(window.spans, trace)].join('');
}
