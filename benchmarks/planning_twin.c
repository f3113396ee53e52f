/* The algorithm of vamdp's planning in C: what a compiler makes of it without Python and numba.
 *
 * The same data and the same steps as `learned_model`, `sweep_tape`, `value_iteration` and `replay`,
 * in that order, with the paper's "transition" rewards, no clusters, no masks and room for all
 * states from the start. States come numbered, so the twin has no hash table. Compiled with
 * -ffp-contract=off it gives the library's numbers to the last bit.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDING 1e-10
#define BLOCK 64
enum { NOTHING = -1, SOMETHING = -2 };

typedef union { double value; uint64_t number; } Word;

typedef struct {
    int n_actions, capacity, max_sweeps, n_states, n_triples, n_recorded, n_sweeps, most;
    double gamma, tolerance, alpha;
    double *base, *spread, *Q, *old_Q, *V, *weight, *reward_sum; /* tables are [a * capacity + s] */
    uint32_t *count, *first, *row, *successor, *seen, *next, *n_rows, *place, *length;
    uint8_t *absorbing;
    Word *tape;
    double *floor_base, *floor_spread, *Vs[3];
    double *history, *total, *mover, *row_Q, *changed_Q, *new_V; /* history is [s * max_sweeps + k] */
} Model;

Model *twin_new(int n_actions, int capacity, int max_triples, int max_sweeps,
                double gamma, double tolerance, double alpha) {
    Model *m = calloc(1, sizeof *m);
    int n_rows = n_actions * capacity;
    m->n_actions = n_actions, m->capacity = capacity, m->max_sweeps = max_sweeps;
    m->gamma = gamma, m->tolerance = tolerance, m->alpha = alpha;
    double **tables[] = {&m->base, &m->spread, &m->Q, &m->old_Q};
    for (int i = 0; i < 4; i++) *tables[i] = calloc(n_rows, sizeof(double));
    double **by_state[] = {&m->V, &m->floor_base, &m->floor_spread, &m->Vs[0], &m->Vs[1], &m->Vs[2]};
    for (int i = 0; i < 6; i++) *by_state[i] = calloc(capacity, sizeof(double));
    double **by_sweep[] = {&m->total, &m->mover, &m->row_Q, &m->changed_Q, &m->new_V};
    for (int i = 0; i < 5; i++) *by_sweep[i] = calloc(max_sweeps, sizeof(double));
    uint32_t **by_row[] = {&m->count, &m->first, &m->place, &m->length};
    for (int i = 0; i < 4; i++) *by_row[i] = calloc(n_rows, sizeof(uint32_t));
    uint32_t **by_triple[] = {&m->row, &m->successor, &m->seen, &m->next};
    for (int i = 0; i < 4; i++) *by_triple[i] = calloc(max_triples, sizeof(uint32_t));
    m->weight = calloc(max_triples, sizeof(double));
    m->reward_sum = calloc(max_triples, sizeof(double));
    m->n_rows = calloc(capacity + 1, sizeof(uint32_t));
    m->absorbing = calloc(capacity, 1);
    m->tape = calloc(3 * n_rows + 2 * max_triples, sizeof(Word));
    m->history = calloc((size_t)capacity * max_sweeps, sizeof(double));
    return m;
}

void twin_free(Model *m) {
    void *blocks[] = {
        m->base, m->spread, m->Q, m->old_Q, m->V, m->floor_base, m->floor_spread, m->Vs[0], m->Vs[1],
        m->Vs[2], m->total, m->mover, m->row_Q, m->changed_Q, m->new_V, m->count, m->first, m->place,
        m->length, m->row, m->successor, m->seen, m->next, m->weight, m->reward_sum, m->n_rows,
        m->absorbing, m->tape, m->history, m,
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
}

const double *twin_q(const Model *m) { return m->Q; }

/* learned_model */

static void rescale_row(Model *m, int r) {
    double n = m->count[r], total = n + m->alpha * m->n_states, base = 0.0;
    int is_terminal = m->absorbing[r % m->capacity];
    for (uint32_t k = m->first[r]; k; k = m->next[k - 1]) {
        double seen = m->seen[k - 1];
        base += (seen + m->alpha) / total * (m->reward_sum[k - 1] / seen);
        m->weight[k - 1] = is_terminal ? 0.0 : m->gamma * seen / total;
    }
    m->base[r] = is_terminal ? 0.0 : base;
    m->spread[r] = is_terminal ? 0.0 : n > 0.0 ? m->gamma * m->alpha / total : m->gamma / m->n_states;
}

static void count(Model *m, int r, uint32_t s_next, double reward) {
    m->count[r]++;
    uint32_t k = m->first[r], last = 0;
    while (k && m->successor[k - 1] != s_next) last = k, k = m->next[k - 1];
    if (k) {
        m->seen[k - 1]++;
        m->reward_sum[k - 1] += reward;
        return;
    }
    k = m->n_triples++;
    m->row[k] = r, m->successor[k] = s_next, m->seen[k] = 1, m->reward_sum[k] = reward;
    m->next[k] = 0;
    if (last) m->next[last - 1] = k + 1;
    else m->first[r] = k + 1;
}

/* sweep_tape */

static void write_tape(Model *m) {
    int S = m->n_states, A = m->n_actions;
    memset(m->n_rows, 0, (S + 1) * sizeof(uint32_t));
    for (int a = 0; a < A; a++) memset(m->length + a * m->capacity, 0, S * sizeof(uint32_t));
    for (int s = 0; s < S; s++) m->floor_base[s] = -INFINITY, m->floor_spread[s] = 0.0;
    for (int k = 0; k < m->n_triples; k++) m->length[m->row[k]]++;
    for (int a = 0; a < A; a++)
        for (int s = 0; s < S; s++) {
            int r = a * m->capacity + s;
            if (m->length[r]) m->n_rows[m->length[r]]++;
            else m->floor_base[s] = m->base[r], m->floor_spread[s] = m->spread[r];
        }
    uint32_t place = 0, next[S + 1];
    m->most = 0;
    for (int t = 1; t <= S; t++) {
        next[t] = place, place += m->n_rows[t] * (2 + 2 * t);
        if (m->n_rows[t]) m->most = t;
    }
    for (int a = 0; a < A; a++)
        for (int s = 0; s < S; s++) {
            int r = a * m->capacity + s, t = m->length[r];
            if (!t) continue;
            Word *p = m->tape + next[t];
            m->place[r] = next[t] + 3, next[t] += 2 + 2 * t;
            p[0].value = m->base[r], p[1].value = m->spread[r], p[2].number = s;
        }
    uint32_t left[A * m->capacity];
    memcpy(left, m->length, sizeof left);
    for (int k = 0; k < m->n_triples; k++) {
        int r = m->row[k];
        Word *p = m->tape + m->place[r];
        p[0].value = m->weight[k];
        if (--left[r]) {
            p[1].number = m->successor[k], m->place[r] += 2;
        } else { /* back to the row's first word, and the successor beside the state */
            m->place[r] -= 3 + 2 * (m->length[r] - 1);
            m->tape[m->place[r] + 2].number |= (uint64_t)m->successor[k] << 32;
        }
    }
}

static double sum(const double *V, int S) {
    double x0 = 0.0, x1 = 0.0, x2 = 0.0, x3 = 0.0;
    int in_fours = S - S % 4;
    for (int s = 0; s < in_fours; s += 4) x0 += V[s], x1 += V[s + 1], x2 += V[s + 2], x3 += V[s + 3];
    for (int s = in_fours; s < S; s++) x0 += V[s];
    return (x0 + x1) + (x2 + x3);
}

static double larger(double x, double y) { return x > y ? x : y; }

static void sweep(const Model *m, double total, const double *restrict V, double *restrict new_V) {
    const Word *p = m->tape;
    for (int s = 0; s < m->n_states; s++) new_V[s] = m->floor_base[s] + m->floor_spread[s] * total;
    for (uint32_t i = m->n_rows[1]; i; i--, p += 4) {
        uint64_t ends = p[2].number;
        double q = p[0].value + p[1].value * total + p[3].value * V[ends >> 32];
        new_V[(uint32_t)ends] = larger(q, new_V[(uint32_t)ends]);
    }
    for (int t = 2; t <= m->most; t++)
        for (uint32_t i = m->n_rows[t]; i; i--) {
            double q = p[0].value + p[1].value * total;
            uint64_t ends = p[2].number;
            p += 3;
            for (int j = 1; j < t; j++, p += 2) q += p[0].value * V[p[1].number];
            q += p++->value * V[ends >> 32];
            new_V[(uint32_t)ends] = larger(q, new_V[(uint32_t)ends]);
        }
}

static double row_value(const Model *m, int r, double total, const double *V) {
    double q = m->base[r] + m->spread[r] * total;
    if (!m->length[r]) return q;
    const Word *row = m->tape + m->place[r], *p = row + 3;
    for (uint32_t j = 1; j < m->length[r]; j++, p += 2) q += p[0].value * V[p[1].number];
    return q + p[0].value * V[row[2].number >> 32];
}

/* value_iteration */

static double backup(const Model *m, const double *V, double *Q) {
    double total = sum(V, m->n_states);
    for (int a = 0; a < m->n_actions; a++)
        for (int s = 0; s < m->n_states; s++) {
            int r = a * m->capacity + s;
            Q[r] = m->base[r] + m->spread[r] * total;
        }
    for (int k = 0; k < m->n_triples; k++) Q[m->row[k]] += m->weight[k] * V[m->successor[k]];
    return total;
}

static void maximise(const Model *m, const double *Q, double *V) {
    for (int s = 0; s < m->n_states; s++) V[s] = Q[s];
    for (int a = 1; a < m->n_actions; a++)
        for (int s = 0; s < m->n_states; s++) V[s] = larger(Q[a * m->capacity + s], V[s]);
}

static void record(Model *m, int n_sweeps, const double *V, double total, int mover) {
    int k = n_sweeps - 1;
    for (int s = 0; s < m->n_states; s++) m->history[s * m->max_sweeps + k] = V[s];
    m->total[k] = total, m->mover[k] = mover;
}

static int iterate(Model *m, int n_done) {
    double threshold = m->tolerance - ROUNDING;
    double *new_V = m->Vs[0], *V = m->Vs[1], *before = m->Vs[2];
    int S = m->n_states, n_sweeps = n_done, moved = 1, mover = 0;
    if (n_done < m->max_sweeps - 1) {
        write_tape(m);
        memcpy(new_V, m->V, S * sizeof(double));
        double q = m->Q[0];
        while (moved && n_sweeps < m->max_sweeps - 1) {
            double *oldest = before, old_q = q;
            before = V, V = new_V, new_V = oldest;
            double total = sum(V, S);
            sweep(m, total, V, new_V);
            n_sweeps++;
            q = row_value(m, mover, total, V);
            moved = fabs(q - old_q) >= threshold;
            if (!moved) {
                if (n_sweeps == n_done + 1)
                    memcpy(m->old_Q, m->Q, (size_t)m->n_actions * m->capacity * sizeof(double));
                else
                    backup(m, before, m->old_Q);
                backup(m, V, m->Q);
                for (int a = 0; a < m->n_actions && !moved; a++)
                    for (int s = 0; s < S && !moved; s++) {
                        int r = a * m->capacity + s;
                        if (fabs(m->Q[r] - m->old_Q[r]) >= threshold) mover = r, moved = 1;
                    }
                q = m->Q[mover];
            }
            record(m, n_sweeps, new_V, total, moved ? mover : NOTHING);
        }
        memcpy(m->V, new_V, S * sizeof(double));
    }
    if (moved) {
        double total = backup(m, m->V, m->Q);
        maximise(m, m->Q, m->V);
        record(m, ++n_sweeps, m->V, total, SOMETHING);
    }
    return n_sweeps;
}

/* replay */

static void compute_row(Model *m, int r, int start, int stop, double *Q) {
    for (int k = start; k < stop; k++) Q[k] = m->base[r] + m->spread[r] * m->total[k];
    for (uint32_t i = m->first[r]; i; i = m->next[i - 1]) {
        const double *V = m->history + (size_t)m->successor[i - 1] * m->max_sweeps, w = m->weight[i - 1];
        for (int k = start ? start : 1; k < stop; k++) Q[k] += w * V[k - 1];
    }
}

static int count_unchanged(Model *m, int s, int changed) {
    double threshold = m->tolerance - ROUNDING;
    for (int start = 0; start < m->n_recorded; start += BLOCK) {
        int stop = start + BLOCK < m->n_recorded ? start + BLOCK : m->n_recorded;
        for (int k = start; k < stop; k++) m->new_V[k] = -INFINITY;
        for (int a = 0; a < m->n_actions; a++) {
            int r = a * m->capacity + s;
            double *Q = r == changed ? m->changed_Q : m->row_Q;
            compute_row(m, r, start, stop, Q);
            for (int k = start; k < stop; k++) m->new_V[k] = larger(Q[k], m->new_V[k]);
        }
        for (int k = start; k < stop; k++) {
            if (m->new_V[k] != m->history[s * m->max_sweeps + k]) return k;
            if (m->mover[k] != changed && m->mover[k] != NOTHING) continue;
            double before = k ? m->changed_Q[k - 1] : 0.0;
            if (fabs(m->changed_Q[k] - before) >= threshold) m->mover[k] = changed;
            else if (m->mover[k] == changed) return k;
        }
    }
    return m->n_recorded;
}

static int plan(Model *m, int s, int r) {
    int S = m->n_states, n_done = 0;
    size_t Q_bytes = (size_t)m->n_actions * m->capacity * sizeof(double);
    if (m->n_recorded) {
        n_done = count_unchanged(m, s, r);
        if (n_done == m->n_sweeps && (n_done == m->max_sweeps || m->mover[n_done - 1] == NOTHING)) {
            m->Q[r] = m->changed_Q[n_done - 1];
            return n_done;
        }
    }
    if (n_done == 0) {
        memset(m->Q, 0, Q_bytes);
        memset(m->V, 0, S * sizeof(double));
    } else {
        for (int i = 0; i < S; i++)
            m->V[i] = n_done > 1 ? m->history[i * m->max_sweeps + n_done - 2] : 0.0;
        backup(m, m->V, m->Q);
        for (int i = 0; i < S; i++) m->V[i] = m->history[i * m->max_sweeps + n_done - 1];
    }
    return iterate(m, n_done);
}

/* One transition: learn and plan; returns the sweeps. n_states counts the ones met until now. */
int twin_step(Model *m, int s, int a, int s_next, double reward, int terminated, int n_states) {
    int entered = n_states != m->n_states, r = a * m->capacity + s;
    m->n_states = n_states;
    m->absorbing[s_next] |= terminated;
    count(m, r, s_next, reward);
    if (entered) {
        for (int b = 0; b < m->n_actions; b++)
            for (int i = 0; i < n_states; i++) rescale_row(m, b * m->capacity + i);
        m->n_recorded = 0;
    } else {
        rescale_row(m, r);
    }
    m->n_sweeps = m->n_recorded = plan(m, s, r);
    return m->n_sweeps;
}

/* One transition of each model; steps is (n, 3): state, action, next state. */
void twin_step_each(Model **models, int n, const int64_t *steps, const double *rewards,
                    const uint8_t *terminated, const int64_t *n_states) {
    for (int i = 0; i < n; i++)
        twin_step(models[i], steps[3 * i], steps[3 * i + 1], steps[3 * i + 2], rewards[i],
                  terminated[i], n_states[i]);
}
