// The server's streams, as promises and callbacks.

export interface Choice {
  index: number;
  text: string;
  finish_reason: string | null;
}

export interface Chunk {
  choices: Choice[];
  usage?: { prompt_tokens: number; completion_tokens: number };
  timings?: { first_token_ms: number; total_ms: number };
  truncated?: boolean;
  error?: { message: string };
}

export interface Card {
  id: string;
  max_model_len: number;
  capabilities: { fim: boolean; languages: Record<string, string> };
}

export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

function headers(key: string): Record<string, string> {
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

async function refusal(response: Response): Promise<Refused> {
  let message = `the server answered ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // A proxy's own page: the status has to do.
  }
  return new Refused(message, response.status);
}

export async function served(key: string): Promise<Card> {
  const response = await fetch("v1/models", { headers: headers(key) });
  if (!response.ok) throw await refusal(response);
  return (await response.json()).data[0];
}

/** Post `body` and hand over every chunk of the answer as it comes. */
export async function stream(
  path: string,
  body: object,
  key: string,
  signal: AbortSignal,
  take: (chunk: Chunk) => void,
): Promise<void> {
  const response = await fetch(path, {
    method: "POST",
    headers: headers(key),
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  if (!response.ok || !response.body) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk: Chunk = JSON.parse(data);
      if (chunk.error) throw new Refused(chunk.error.message, 200);
      take(chunk);
    }
  }
}
