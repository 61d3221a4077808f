/* rope.c - rotary frequencies, plain and stretched. */
#include "engine/models/rope.h"

#include <math.h>

int64_t
rope_key(const struct rope_config *config, int64_t length)
{
	if (length <= config->original_context)
		return 0;
	switch (config->kind) {
	case ROPE_DYNAMIC:
		return length;
	case ROPE_LONG:
		return 1;
	default:
		return 0;
	}
}

static void
plain(const struct rope_config *config, double theta, double factor, float *inv_freq)
{
	for (int i = 0; i < config->n_rot / 2; i++)
		inv_freq[i] = (float)(pow(theta, -2.0 * i / (double)config->n_rot) / factor);
}

/* The base grows with the text, so that the slowest pair turns as far as it did at the end of the
 * original context. */
static double
dynamic_theta(const struct rope_config *config, int64_t length)
{
	double n = config->n_rot, factor = config->factor;
	double grown = factor * (double)length / config->original_context - (factor - 1);

	return n > 2 ? config->theta * pow(grown, n / (n - 2)) : config->theta;
}

/* Pairs that turn less often than beta_slow over the original context are interpolated, those
 * above beta_fast left alone, with a ramp in between. */
static void
yarn(const struct rope_config *config, float *inv_freq)
{
	const double n = config->n_rot, scale = 2 * log(config->theta);
	double low = n * log(config->original_context / (config->beta_fast * 2 * M_PI)) / scale;
	double high = n * log(config->original_context / (config->beta_slow * 2 * M_PI)) / scale;

	if (config->whole_bounds) {
		low = floor(low);
		high = ceil(high);
	}
	low = fmax(low, 0);
	high = fmin(high, n - 1);
	if (low == high)
		high += 0.001;
	for (int i = 0; i < config->n_rot / 2; i++) {
		double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
		double frequency = pow(config->theta, -2.0 * i / n);

		inv_freq[i] = (float)(frequency / config->factor * ramp + frequency * (1 - ramp));
	}
}

/* How often pair I turns over the original context. */
static double
llama3_turns(const struct rope_config *config, int i)
{
	double frequency = pow(config->theta, -2.0 * i / (double)config->n_rot);

	return config->original_context * frequency / (2 * M_PI);
}

/* The share of its own frequency that pair I keeps. */
static double
llama3_kept(const struct rope_config *config, int i)
{
	double low = config->low_frequency_factor, high = config->high_frequency_factor;

	return fmin(fmax((llama3_turns(config, i) - low) / (high - low), 0), 1);
}

static void
llama3(const struct rope_config *config, float *inv_freq)
{
	for (int i = 0; i < config->n_rot / 2; i++) {
		double frequency = pow(config->theta, -2.0 * i / (double)config->n_rot);
		double kept = llama3_kept(config, i);

		inv_freq[i] = (float)((1 - kept) * frequency / config->factor + kept * frequency);
	}
}

void
rope_llama3_divisors(const struct rope_config *config, float *divisors)
{
	for (int i = 0; i < config->n_rot / 2; i++) {
		double kept = llama3_kept(config, i);

		divisors[i] = (float)(1 / ((1 - kept) / config->factor + kept));
	}
}

static bool
llama3_gives(const struct rope_config *config, const float *divisors)
{
	for (int i = 0; i < config->n_rot / 2; i++) {
		double kept = llama3_kept(config, i);
		double divisor = 1 / ((1 - kept) / config->factor + kept);

		if (!(fabs(divisor - (double)divisors[i]) <= 1e-5 * divisor))
			return false;
	}
	return true;
}

/* Between the bands what is kept is a line in the turns of a pair: (turns - low) / (high - low).
 * Its ends come from the pairs on it that are furthest apart. */
bool
rope_llama3_fit(struct rope_config *config, const float *divisors)
{
	int n = config->n_rot / 2, first = -1, last = -1;
	double kept[2], turns[2], slope = 0, low, context;

	if (n < 2)
		return false;
	config->kind = ROPE_LLAMA3;
	config->factor = (double)divisors[n - 1];
	config->low_frequency_factor = 1;
	config->high_frequency_factor = 4; /* of the published models */
	config->original_context = 8192;
	if (!(config->factor > 1))
		return false;
	if (llama3_gives(config, divisors))
		return true;
	for (int i = 0; i < n; i++)
		if ((double)divisors[i] > 1.001 && (double)divisors[i] < 0.999 * config->factor) {
			first = first < 0 ? i : first;
			last = i;
		}
	if (first < 0)
		return false;
	config->original_context = 1; /* turns per token of context */
	for (int i = 0; i < 2; i++) {
		int pair = i == 0 ? first : last;

		turns[i] = llama3_turns(config, pair);
		kept[i] =
		    (1 / (double)divisors[pair] - 1 / config->factor) / (1 - 1 / config->factor);
	}
	if (first < last) {
		slope = (kept[0] - kept[1]) / (turns[0] - turns[1]);
		low = turns[0] - kept[0] / slope; /* turns where nothing is kept */
		context = low > 0 ? 1 / low : 0;
		config->high_frequency_factor = round(1000 * (1 + context / slope)) / 1000;
	} else {
		context = (1 + 3 * kept[0]) / turns[0];
	}
	if (!(context >= 1 && context < 1e9) || !(config->high_frequency_factor > 1))
		return false;
	config->original_context = (int)lround(context);
	return llama3_gives(config, divisors);
}

void
rope_frequencies(const struct rope_config *config, int64_t key, float *inv_freq)
{
	const float *divisors = key == 1 ? config->long_divisors : config->short_divisors;

	switch (config->kind) {
	case ROPE_LINEAR:
		plain(config, config->theta, config->factor, inv_freq);
		break;
	case ROPE_DYNAMIC:
		plain(config, key > 0 ? dynamic_theta(config, key) : config->theta, 1, inv_freq);
		break;
	case ROPE_YARN:
		yarn(config, inv_freq);
		break;
	case ROPE_LLAMA3:
		llama3(config, inv_freq);
		break;
	case ROPE_LONG:
	case ROPE_DIVISORS:
		plain(config, config->theta, 1, inv_freq);
		for (int i = 0; i < config->n_rot / 2; i++)
			inv_freq[i] /= divisors[i];
		break;
	case ROPE_PLAIN:
		plain(config, config->theta, 1, inv_freq);
		break;
	}
}

double
rope_yarn_magnitude(double factor)
{
	return factor > 1 ? 0.1 * log(factor) + 1 : 1;
}

double
rope_long_magnitude(double factor, int original_context)
{
	return factor > 1 ? sqrt(1 + log(factor) / log(original_context)) : 1;
}
