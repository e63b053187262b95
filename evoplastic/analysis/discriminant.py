"""Fisher's linear discriminant over time, for many orders of the labels at once, on trials that it was not fitted on.

With z activity at a step, scaled by mean and spread of the fold's *training* trials at that same step, so that what all
trials share says nothing; m_c the mean of class c and S the covariance of all N units at the training step,

    G = (1 - a) S + a I                                            a by Ledoit and Wolf 2004
    told: the class c of the largest  m_c' G^-1 z - m_c' G^-1 m_c / 2

with equal priors. G knows no labels, so one G serves all orders of them.

Two classes may be told among trials of equal kind alone, if they go with the kinds. Then means are those of the trial's
kind k, classes shift activity alike in all kinds, and with p_k the share of class 1 among the kind's n_k trials

    e = m_1 - m_0
    told: class 1 where  e' G^-1 z > (1/2 - p_k) e' G^-1 e / (sum over kinds of n_k p_k (1 - p_k) (1/n_1 + 1/n_0))

as if kinds and labels were regressed on together, so that what only tells the kind tells nothing here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from evoplastic.errors import UserError

LEAST_SHRINKAGE = 1e-3  # so that units that do the same leave G invertible
FLAT = 1e-6  # of a unit's mean: less spread is rounding

Array = NDArray[Any]


class Fold(NamedTuple):
    """Trials that are held out, and the scale that the others give."""

    train: Array  # (m,) trials
    mean: Array  # (kinds, S, N)
    spread: Array  # (S, N), infinite where a unit is flat
    test: Array  # (h,) trials
    held: Array  # (S, h, N + 1) float32: the test trials, scaled, and a 1 or, within kinds, how they lean to class 1


def fold_of(activity: Array, training: Array, kinds: Array, codes: Array | None) -> Fold:
    """Return the fold that learns from the trials `training` (n,) and is tested on the others."""
    train, test = np.flatnonzero(training), np.flatnonzero(~training)
    of_kind = [train[kinds[train] == kind] for kind in range(kinds.max() + 1)]
    of_kind = [trials if len(trials) else train for trials in of_kind]
    mean = np.stack([activity[trials].mean(axis=0, dtype=np.float64) for trials in of_kind])
    squares = sum(len(trials) * activity[trials].var(axis=0, dtype=np.float64) for trials in of_kind)
    spread = np.sqrt(squares / sum(map(len, of_kind)))
    spread = np.where(spread > FLAT * np.abs(mean).max(axis=0), spread, np.inf)
    held = np.ones((activity.shape[1], len(test), activity.shape[2] + 1), np.float32)
    held[..., :-1] = ((activity[test] - mean[kinds[test]]) / spread).swapaxes(0, 1)
    if codes is not None:
        held[..., -1] = _leaning(of_kind, codes, train)[kinds[test]]
    return Fold(train, mean, spread, test, held)


def _leaning(of_kind: list[Array], codes: Array, train: Array) -> Array:
    """Return (p_k - 1/2) / (sum over kinds of n_k p_k (1 - p_k) (1/n_1 + 1/n_0)) of each kind, of training trials."""
    ones = codes[train].sum()
    p = np.array([codes[trials].mean() for trials in of_kind])
    both = float(sum(len(trials) * each * (1.0 - each) for trials, each in zip(of_kind, p)))
    if not both:
        raise UserError("trials of equal kind are all labelled alike in all folds but one; give more trials")
    leaning: Array = (p - 0.5) / (both * (1.0 / ones + 1.0 / (len(train) - ones)))
    return leaning


def accuracies(activity: Array, columns: Array, share: Array, kinds: Array, folds: list[Fold], step: int) -> Array:
    """Return accuracy (S, P) of decoders fitted at `step`, tested at every step, for each column of labels (n, P).

    `share` (kinds, classes) is what a right trial adds to accuracy.
    """
    accuracy = np.zeros((activity.shape[1], columns.shape[1]))
    for fold in folds:
        scaled = (activity[fold.train, step] - fold.mean[kinds[fold.train], step]) / fold.spread[step]
        weights = _decoder(scaled, columns[fold.train], share.shape[1], len(share) > 1)
        scores = (fold.held @ weights.reshape(len(weights), -1)).reshape(*fold.held.shape[:2], *weights.shape[1:])
        truth = columns[fold.test]
        accuracy += np.einsum("shp,hp->sp", _told(scores) == truth, share[kinds[fold.test][:, None], truth])
    return accuracy.round(12)  # so that equal counts are equal numbers


def _told(scores: Array) -> Array:
    """Return the class (S, h, P) of the largest score, given those of all classes but 0, (S, h, classes - 1, P)."""
    best = np.zeros(1, np.float32)
    told = (scores[:, :, 0] > best).astype(np.int16)
    for code in range(2, scores.shape[2] + 1):
        best = np.maximum(best, scores[:, :, code - 2])
        told = np.where(scores[:, :, code - 1] > best, np.int16(code), told)
    return told


def _decoder(scaled: Array, columns: Array, classes: int, within: bool) -> Array:
    """Return weights (N + 1, classes - 1, P) of the score of each class over that of class 0, the last for a 1.

    `scaled` (m, N) are training trials, `columns` (m, P) their labels under each permutation; `within` kinds the last
    weight is for how a trial's kind leans.
    """
    sums = [scaled.T @ (columns == code) for code in range(1, classes)]
    sums = [scaled.sum(axis=0)[:, None] - sum(sums), *sums]
    means = np.stack([each / (columns == code).sum(axis=0) for code, each in enumerate(sums)], axis=1)
    apart = means[:, 1:] - means[:, :1]
    weights = cho_solve(cho_factor(_covariance(scaled)), apart.reshape(len(apart), -1)).reshape(apart.shape)
    middles = -apart if within else (means[:, 1:] + means[:, :1]) / 2
    return np.concatenate([weights, -(middles * weights).sum(axis=0, keepdims=True)]).astype(np.float32)


def _covariance(scaled: Array) -> Array:
    """Return the covariance G (N, N) of `scaled` (m, N), whose columns have mean 0, shrunk towards the identity.

    a = mean over trials of |z z' - S|^2 / m, of |S - I|^2, at most 1: the error of S as a share of its distance from I.
    Units have variance 1 and the distance lies off the diagonal; flat ones, of variance 0, are as if they were not.
    """
    m, units = scaled.shape
    covariance: Array = scaled.T @ scaled / m
    distance = np.square(covariance).sum() - np.square(np.diagonal(covariance)).sum()
    error = (np.square(np.square(scaled).sum(axis=1)).mean() - np.square(covariance).sum()) / m
    shrinkage = 1.0 if error >= distance else max(error / distance, LEAST_SHRINKAGE)
    covariance *= 1.0 - shrinkage
    covariance[np.diag_indices(units)] += shrinkage
    return covariance
