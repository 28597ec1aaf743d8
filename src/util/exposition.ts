/** The text formats of metrics that a scraper may ask for. */
export type ExpositionFormat = "prometheus" | "openmetrics";

/**
 * Tells the scrapes among requests for metrics: those with the header that Prometheus sends with each, and what scrapes like
 * it; before one has come, all. Else whoever has a look at the metrics would stand for the scraper.
 */
export function createScrapeTest(): (
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
) => boolean {
  let isKnown = false;
  return (headers) => {
    const isScraper = headers["x-prometheus-scrape-timeout-seconds"] !== undefined;
    isKnown ||= isScraper;
    return isScraper || !isKnown;
  };
}

/** The content type of each format. */
export const expositionTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/**
 * The format that a scraper's `Accept` header asks for: OpenMetrics where it weighs at least as much as plain text
 * (RFC 9110, 12.5.1), else Prometheus text.
 */
export function expositionFormat(accept: string | undefined): ExpositionFormat {
  let open = 0;
  let plain = 0;
  for (const range of (accept ?? "").split(",").slice(0, 32)) {
    const [type, ...parameters] = range
      .toLowerCase()
      .split(";")
      .map((part) => part.trim());
    const weight = Number(parameters.find((part) => part.startsWith("q="))?.slice(2) ?? 1) || 0;
    if (type === "application/openmetrics-text" && !parameters.includes("version=0.0.1")) open = Math.max(open, weight);
    if (type === "text/plain") plain = Math.max(plain, weight);
  }
  return open > 0 && open >= plain ? "openmetrics" : "prometheus";
}
