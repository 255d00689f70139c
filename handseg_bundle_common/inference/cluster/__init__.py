"""Bundles at work on the machines of a Ray cluster: radiographs from anywhere in, Parquet and tables out."""

from handseg_bundle_common.inference.cluster.parts import RESULTS
from handseg_bundle_common.inference.cluster.predict import PredictedOnCluster, predict_on_cluster

__all__ = ["RESULTS", "PredictedOnCluster", "predict_on_cluster"]
