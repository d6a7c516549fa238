#include "daemon/base/rfc3339.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

/* Days since 1970-01-01 of a civil date (Howard Hinnant's "days_from_civil", a published
 * algorithm). */
static int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

static void civil_from_days(int64_t z, int *ret_y, unsigned *ret_m, unsigned *ret_d)
{
	int64_t era, y;
	unsigned doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = (unsigned)(z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	y = (int64_t)yoe + era * 400;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*ret_d = doy - (153 * mp + 2) / 5 + 1;
	*ret_m = mp < 10 ? mp + 3 : mp - 9;
	*ret_y = (int)(y + (*ret_m <= 2));
}

void rfc3339_encode(int64_t ms, char ret_text[RFC3339_LEN + 1])
{
	const int64_t min_ms = days_from_civil(0, 1, 1) * 86400000LL;
	const int64_t max_ms = days_from_civil(10000, 1, 1) * 86400000LL - 1;
	char text[64];
	int64_t days, rest;
	unsigned m, d;
	int y;

	ms = MAX(min_ms, MIN(max_ms, ms));
	days = ms / 86400000LL - (ms % 86400000LL < 0);
	rest = ms - days * 86400000LL;
	civil_from_days(days, &y, &m, &d);
	snprintf(text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", y, m, d,
		 (int)(rest / 3600000), (int)(rest / 60000 % 60), (int)(rest / 1000 % 60),
		 (int)(rest % 1000));
	for (int i = 0; i <= RFC3339_LEN; i++)
		ret_text[i] = text[i];
}

static bool digits(const char **p, const char *end, int cnt, unsigned *ret)
{
	unsigned v = 0;

	if (end - *p < cnt)
		return false;
	for (int i = 0; i < cnt; i++, ++*p) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (unsigned)(**p - '0');
	}
	*ret = v;
	return true;
}

static bool one_of(const char **p, const char *end, const char *set)
{
	if (*p == end)
		return false;
	for (; *set; set++) {
		if (**p == *set) {
			++*p;
			return true;
		}
	}
	return false;
}

/* The fraction's first three digits, as milliseconds. */
static bool fraction(const char **p, const char *end, unsigned *ret_ms)
{
	unsigned ms = 0, cnt = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p, cnt++) {
		if (cnt < 3)
			ms = ms * 10 + (unsigned)(**p - '0');
	}
	for (unsigned i = cnt; i < 3; i++)
		ms *= 10;
	*ret_ms = ms;
	return cnt > 0;
}

static bool zone(const char **p, const char *end, int *ret_minutes)
{
	unsigned hh, mm;
	bool minus;

	*ret_minutes = 0;
	if (one_of(p, end, "Zz"))
		return true;
	if (*p == end)
		return false;
	minus = **p == '-';
	if (!one_of(p, end, "+-") || !digits(p, end, 2, &hh) || !one_of(p, end, ":") ||
	    !digits(p, end, 2, &mm) || hh > 23 || mm > 59)
		return false;
	*ret_minutes = (int)(hh * 60 + mm) * (minus ? -1 : 1);
	return true;
}

static unsigned days_in_month(unsigned y, unsigned m)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0))
		return 29;
	return days[m - 1];
}

int rfc3339_decode(const char *text, size_t len, int64_t *ret_ms)
{
	const char *p = text, *end = text + len;
	unsigned y, mo, d, h, mi, s, ms = 0;
	int offset;

	if (!digits(&p, end, 4, &y) || !one_of(&p, end, "-") || !digits(&p, end, 2, &mo) ||
	    !one_of(&p, end, "-") || !digits(&p, end, 2, &d) || !one_of(&p, end, "Tt ") ||
	    !digits(&p, end, 2, &h) || !one_of(&p, end, ":") || !digits(&p, end, 2, &mi) ||
	    !one_of(&p, end, ":") || !digits(&p, end, 2, &s))
		return -EINVAL;
	if (p < end && *p == '.') {
		p++;
		if (!fraction(&p, end, &ms))
			return -EINVAL;
	}
	if (!zone(&p, end, &offset) || p != end)
		return -EINVAL;
	if (mo < 1 || mo > 12 || d < 1 || d > days_in_month(y, mo) || h > 23 || mi > 59 || s > 60)
		return -EINVAL;
	if (s == 60)
		ms = 0;
	*ret_ms = (days_from_civil(y, mo, d) * 86400LL + h * 3600LL + ((int)mi - offset) * 60LL +
		   s) * 1000 +
		  ms;
	return 0;
}
